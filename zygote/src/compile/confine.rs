use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, chdir, pivot_root, setgid, setgroups, setuid};
use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};

use crate::error::{Context, Result};

/// The user and group of who has nothing.
const NOBODY: u32 = 65534;

/// What the compiler may use: address space, seconds of CPU, and bytes of a
/// file. CPython takes 2.5 minutes and 1.7 GB for its 26 MB.
const LIMITS: [(Resource, u64); 5] = [
    (Resource::As, 3 << 30),
    (Resource::Cpu, 1800),
    (Resource::Fsize, 1 << 30),
    (Resource::Nofile, 64),
    (Resource::Core, 0),
];

/// Leaves this process with an empty file system in memory, no network, no
/// privileges, and what a background job may use. `place`: a folder to put the
/// file system on, in this process's sight alone.
pub fn confine(place: &Path) -> Result<()> {
    let what = "can't confine the compiler";
    set_parent_process_death_signal(Some(Signal::KILL)).context(what)?;
    nice(19).context(what)?;
    // The first to go when the node has no memory left.
    std::fs::write("/proc/self/oom_score_adj", "1000").context(what)?;
    for (resource, limit) in LIMITS {
        let limit = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        setrlimit(resource, limit).context(what)?;
    }
    let own = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    unshare(own).context(what)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context(what)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let options = Some("size=1g,mode=0777");
    mount(Some("tmpfs"), place, Some("tmpfs"), flags, options).context(what)?;
    chdir(place).context(what)?;
    // The compiler's own temporary files.
    std::fs::create_dir("tmp").context(what)?;
    std::os::unix::fs::chown("tmp", Some(NOBODY), Some(NOBODY)).context(what)?;
    pivot_root(".", ".").context(what)?;
    umount2(".", MntFlags::MNT_DETACH).context(what)?;
    chdir("/").context(what)?;
    setgroups(&[]).context(what)?;
    setgid(Gid::from_raw(NOBODY)).context(what)?;
    setuid(Uid::from_raw(NOBODY)).context(what)?;
    // Changing the user has cleared it.
    set_parent_process_death_signal(Some(Signal::KILL)).context(what)?;
    rustix::thread::set_no_new_privs(true).context(what)
}
