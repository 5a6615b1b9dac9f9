use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};
use nix::sys::wait::{WaitStatus, waitpid};

use crate::error::{Context, Error, Result};
use crate::fork::fork;

/// Takes the mounts at `paths`, and all below them, out of a container whose
/// init process waits: what only a native program needs is gone before a Wasm
/// guest runs.
///
/// libcontainer itself needs /proc until the end of its set-up, when its
/// process has lost the right to unmount; so a child of the launcher does it.
pub fn unmount_in(container: &OwnedFd, paths: &[&Path]) -> Result<()> {
    let child = fork(|| match unmount_here(container, paths) {
        Ok(()) => 0,
        Err(errno) => errno as i32,
    })?;
    match waitpid(child, None) {
        Ok(WaitStatus::Exited(_, 0)) => Ok(()),
        Ok(WaitStatus::Exited(_, errno)) => {
            Err(Errno::from_raw(errno)).context("can't take the kernel's views from the container")
        }
        _ => Err(Error::Guest(
            "the container's mounts could not be set up".into(),
        )),
    }
}

fn unmount_here(container: &OwnedFd, paths: &[&Path]) -> std::result::Result<(), Errno> {
    setns(container, CloneFlags::CLONE_NEWNS)?;
    for path in paths {
        match umount2(*path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            // Below a view that is gone already, or never mounted.
            Ok(()) | Err(Errno::ENOENT | Errno::EINVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
