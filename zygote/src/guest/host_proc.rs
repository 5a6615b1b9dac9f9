use std::fs::File;
use std::io::{Error, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open, openat};

/// The host's /proc, to be opened before this process gives up its mounts. What
/// the container has at that path may be anything, or nothing.
pub struct HostProc(OwnedFd);

impl HostProc {
    pub fn open() -> Result<Self, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(open("/proc", flags, Mode::empty())?))
    }

    /// Puts this process under an AppArmor profile now. libcontainer can only
    /// set what the next execve brings, and none comes before a Wasm guest.
    pub fn change_profile(&self, profile: &str) -> Result<(), String> {
        self.ask("current", &format!("changeprofile {profile}"), profile)
    }

    /// Has the next execve put this process under an AppArmor profile.
    pub fn profile_on_exec(&self, profile: &str) -> Result<(), String> {
        self.ask("exec", &format!("exec {profile}"), profile)
    }

    /// Where the kernel takes such a wish, the current place first
    /// (proc_pid_attr(5)).
    fn ask(&self, attribute: &str, wish: &str, profile: &str) -> Result<(), String> {
        self.write(&format!("thread-self/attr/apparmor/{attribute}"), wish)
            .or_else(|_| self.write(&format!("thread-self/attr/{attribute}"), wish))
            .map_err(|error| {
                format!(
                    "the AppArmor profile {profile:?} (process.apparmorProfile) \
                     can't be applied: {error}"
                )
            })
    }

    fn write(&self, path: &str, text: &str) -> Result<(), Error> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&self.0, path, flags, Mode::empty())?;
        // One write: the kernel takes each for a whole request.
        File::from(file).write_all(text.as_bytes())
    }
}
