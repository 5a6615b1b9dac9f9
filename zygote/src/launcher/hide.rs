use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};
use nix::sys::wait::{WaitStatus, waitpid};
use oci::Bundle;

use super::outputs::Outputs;
use crate::error::{Context, Error, Result};
use crate::fork::fork;

/// How often to look again: what one pass unmounts may have covered another.
const PASSES: usize = 3;

/// Takes the kernel's views (/proc and the like) out of a container whose init
/// process waits, and makes its `/outputs`: what only a native program needs is
/// gone before a Wasm guest runs, and what only a Wasm guest expects is there.
/// Fails if a view is left.
///
/// libcontainer itself needs /proc until the end of its set-up, when its
/// process has lost the right to unmount; so a child of the launcher does it.
pub fn prepare_for_wasm(bundle: &Bundle, pid: i32, pidfd: &OwnedFd) -> Result<()> {
    let mut outputs = Outputs::wanted(bundle, pid);
    for _ in 0..PASSES {
        let views = views(bundle, pid)?;
        if views.is_empty() && outputs.is_none() {
            return Ok(());
        }
        prepare(pidfd, &views, outputs.take())?;
    }
    match views(bundle, pid)?.first() {
        None => Ok(()),
        Some(view) => Err(Error::Guest(format!(
            "{} of the container shows the kernel and can't be taken from a WebAssembly guest, \
             as another mount covers it; leave one of the two out of config.json",
            view.display()
        ))),
    }
}

/// Where the kernel's views are in the container of this process.
pub fn views(bundle: &Bundle, pid: i32) -> Result<Vec<PathBuf>> {
    let mountinfo = std::fs::read_to_string(format!("/proc/{pid}/mountinfo"))
        .context("can't read the container's mounts")?;
    Ok(oci::host_views(&mountinfo, &bundle.spec))
}

fn prepare(pidfd: &OwnedFd, views: &[PathBuf], outputs: Option<Outputs>) -> Result<()> {
    let child = fork(|| match prepare_in(pidfd, views, outputs) {
        Ok(()) => 0,
        Err(errno) => errno as i32,
    })?;
    match waitpid(child, None) {
        Ok(WaitStatus::Exited(_, 0)) => Ok(()),
        Ok(WaitStatus::Exited(_, errno)) => {
            Err(Errno::from_raw(errno)).context("can't take the kernel's views from the container")
        }
        _ => Err(Error::Guest(
            "the container's mounts could not be set up: the process that does it was killed"
                .into(),
        )),
    }
}

fn prepare_in(
    container: &OwnedFd,
    views: &[PathBuf],
    outputs: Option<Outputs>,
) -> std::result::Result<(), Errno> {
    setns(container, CloneFlags::CLONE_NEWNS)?;
    for view in views {
        match umount2(view, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            // Below a view that is gone already, or covered: looked at again.
            Ok(()) | Err(Errno::ENOENT | Errno::EINVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    if let Some(outputs) = outputs {
        outputs.make();
    }
    Ok(())
}
