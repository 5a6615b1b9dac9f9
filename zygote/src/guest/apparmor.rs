use std::fs::File;
use std::io::{Error, ErrorKind, Write};

use rustix::fs::{PROC_SUPER_MAGIC, fstatfs};

/// Where the kernel takes the wish for another profile, the current place first
/// (proc_pid_attr(5)).
const ATTRIBUTES: [&str; 2] = [
    "/proc/thread-self/attr/apparmor/current",
    "/proc/thread-self/attr/current",
];

/// Puts this process under an AppArmor profile now. libcontainer has set what
/// the next execve brings, and no execve comes before a Wasm guest.
pub fn change_profile(profile: &str) -> Result<(), String> {
    ATTRIBUTES
        .iter()
        .map(|attribute| ask(attribute, profile))
        .reduce(Result::or)
        .unwrap_or(Ok(()))
        .map_err(|error| {
            format!("the AppArmor profile {profile:?} (process.apparmorProfile) can't be applied: {error}")
        })
}

fn ask(attribute: &str, profile: &str) -> Result<(), Error> {
    let mut file = File::options().write(true).open(attribute)?;
    // Not whatever an image has there: only the kernel's own file counts.
    if fstatfs(&file)?.f_type != PROC_SUPER_MAGIC {
        return Err(Error::new(
            ErrorKind::NotFound,
            "the container has no /proc",
        ));
    }
    // One write: the kernel takes each for a whole request.
    file.write_all(format!("changeprofile {profile}").as_bytes())
}
