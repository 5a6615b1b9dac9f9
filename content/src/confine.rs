use rustix::io::Errno;
use rustix::process::{Gid, Resource, Rlimit, Uid, setrlimit};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// The user and group that own nothing.
const NOBODY: u32 = 65534;

/// Gives up all that reading from a connection does not need: root, with it all
/// capabilities, the way back, and new processes and files. What an image says is
/// read after this. To be called while this process has one thread.
pub fn confine() -> Result<(), Errno> {
    set_no_new_privs(true)?;
    // Its own descriptors are few: one for each module.
    for (resource, limit) in [
        (Resource::Nproc, 0),
        (Resource::Core, 0),
        (Resource::Nofile, 64),
    ] {
        let limit = Some(limit);
        let limit = Rlimit {
            current: limit,
            maximum: limit,
        };
        setrlimit(resource, limit)?;
    }
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    // Last: it takes the right to do the rest.
    set_thread_res_uid(user, user, user)
}
