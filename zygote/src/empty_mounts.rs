use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{chdir, pivot_root};

use crate::error::{Context, Result};
use crate::fork::fork;

/// A mount namespace of nothing but an empty folder that can't be written to.
/// Containers begin with a copy of it: one of the host's would take the longer
/// the more the host has mounted, and would have to be emptied again.
#[derive(Debug)]
pub struct EmptyMounts(OwnedFd);

impl EmptyMounts {
    /// `place`: any folder; it stays as it is.
    pub fn make(place: &Path) -> Result<Self> {
        let what = "can't make a mount namespace";
        let (mut made, report) = std::io::pipe().context(what)?;
        let (hold, held) = std::io::pipe().context(what)?;
        // A child does it, and stays until its namespace has been opened.
        let child = fork(|| {
            crate::fds::close(held.as_raw_fd());
            if empty(place).is_err() || (&report).write_all(&[0]).is_err() {
                return 1;
            }
            let _ = (&hold).read(&mut [0]);
            0
        })?;
        drop((report, hold));
        let opened = made
            .read_exact(&mut [0])
            .and_then(|()| File::open(format!("/proc/{child}/ns/mnt")));
        drop(held);
        let _ = waitpid(child, None);
        Ok(Self(opened.context(what)?.into()))
    }

    /// Gives the calling process, which has one thread, a copy of its own.
    pub fn enter_copy(&self) -> nix::Result<()> {
        setns(self.0.as_fd(), CloneFlags::CLONE_NEWNS)?;
        unshare(CloneFlags::CLONE_NEWNS)
    }

    /// For processes that will have no more use for it.
    pub fn close(&self) {
        crate::fds::close(self.as_raw_fd());
    }
}

impl AsRawFd for EmptyMounts {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Takes all mounts from the calling process but a new one.
fn empty(place: &Path) -> nix::Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    // Nothing of this is for the host to see.
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    let flags = MsFlags::MS_RDONLY
        .union(MsFlags::MS_NOSUID)
        .union(MsFlags::MS_NODEV)
        .union(MsFlags::MS_NOEXEC);
    mount(
        Some("tmpfs"),
        place,
        Some("tmpfs"),
        flags,
        Some("mode=0555"),
    )?;
    chdir(place)?;
    root_here()
}

/// Makes the mount that the working directory is the root of the only one of the
/// calling process's mount namespace, with what is mounted in it.
pub fn root_here() -> nix::Result<()> {
    // The old root comes to lie on the new one (pivot_root(2), NOTES).
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")
}
