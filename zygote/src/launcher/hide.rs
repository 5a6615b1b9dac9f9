use std::fs::File;
use std::io::{Read, Seek};
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

const WHAT: &str = "can't take the kernel's views from the container";

/// Takes the kernel's views (/proc and the like) out of a container whose init
/// process waits, and makes its `/outputs`: what only a native program needs is
/// gone before a Wasm guest runs, and what only a Wasm guest expects is there.
/// Fails if a view is left.
///
/// The container's own process needs /proc until the end of its set-up, when it
/// has lost the right to unmount; so a child of the launcher does it.
pub fn prepare_for_wasm(bundle: &Bundle, pid: i32, pidfd: &OwnedFd) -> Result<()> {
    let mut outputs = Outputs::wanted(bundle, pid);
    take_out(bundle, pid, |views| prepare(pidfd, views, outputs.take()))?;
    match outputs {
        Some(outputs) => prepare(pidfd, &[], Some(outputs)),
        None => Ok(()),
    }
}

/// The same for a container that has its `/outputs`; done by this process, which
/// has the container's mounts from then on.
pub fn enter_and_take_out(bundle: &Bundle, pid: i32, pidfd: &OwnedFd) -> Result<()> {
    let mut enter = Some(pidfd);
    take_out(bundle, pid, |views| {
        if let Some(container) = enter.take() {
            setns(container, CloneFlags::CLONE_NEWNS)
                .context("can't enter the container's mounts")?;
        }
        unmount(views).context(WHAT)
    })
}

fn take_out(
    bundle: &Bundle,
    pid: i32,
    mut unmount: impl FnMut(&[PathBuf]) -> Result<()>,
) -> Result<()> {
    let mut mounts = open(pid)?;
    for _ in 0..PASSES {
        let views = read(&mut mounts, bundle)?;
        if views.is_empty() {
            return Ok(());
        }
        unmount(&views)?;
    }
    match read(&mut mounts, bundle)?.first() {
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
    read(&mut open(pid)?, bundle)
}

/// Can be read again and again, from whatever mount namespace.
fn open(pid: i32) -> Result<File> {
    File::open(format!("/proc/{pid}/mountinfo")).context("can't open the container's mounts")
}

fn read(mounts: &mut File, bundle: &Bundle) -> Result<Vec<PathBuf>> {
    let mut mountinfo = String::new();
    mounts
        .rewind()
        .and_then(|()| mounts.read_to_string(&mut mountinfo))
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
        Ok(WaitStatus::Exited(_, errno)) => Err(Errno::from_raw(errno)).context(WHAT),
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
    unmount(views)?;
    if let Some(outputs) = outputs {
        outputs.make();
    }
    Ok(())
}

fn unmount(views: &[PathBuf]) -> std::result::Result<(), Errno> {
    for view in views {
        match umount2(view, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            // Below a view that is gone already, or covered: looked at again.
            Ok(()) | Err(Errno::ENOENT | Errno::EINVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
