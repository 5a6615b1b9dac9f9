//! The one place that forks.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::fs::File;

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{ForkResult, Pid};

use crate::error::{Context, Result};

/// Forks a child that runs `child` and ends with what that returns as its exit
/// code, without running destructors or exit handlers of the parent's image.
///
/// Called by the zygote and by launchers, which have one thread each.
pub fn fork(child: impl FnOnce() -> i32) -> Result<Pid> {
    // SAFETY: the calling process has a single thread, so that the child finds
    // every lock free and may allocate and call what it likes.
    match unsafe { nix::unistd::fork() }.context("can't fork a launcher")? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => exit(child()),
    }
}

/// Forks a child that is the first process of a new pid namespace.
pub fn fork_first(child: impl FnOnce() -> i32) -> Result<Pid> {
    let what = "can't make a pid namespace";
    let own = File::open("/proc/self/ns/pid").context(what)?;
    unshare(CloneFlags::CLONE_NEWPID).context(what)?;
    let forked = fork(child);
    // Later children are to be where this process is.
    setns(&own, CloneFlags::CLONE_NEWPID).context(what)?;
    forked
}

unsafe extern "C" {
    /// As atexit(3), but that the function is told the exit code (glibc's on_exit(3)).
    fn on_exit(function: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
}

/// Has this process and its children end without the exit handlers that there are
/// by now, also where a library calls exit(3), as libcontainer does.
pub fn skip_exit_handlers() -> Result<()> {
    extern "C" fn leave(code: c_int, _: *mut c_void) {
        exit(code)
    }
    // SAFETY: the function is of the type that is asked for, takes any argument, and
    // is there for as long as the process. What is registered last is called first.
    match unsafe { on_exit(leave, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()).context("can't register an exit handler"),
    }
}

/// Ends this process at once: no destructors, no exit handlers (libLLVM has
/// many), nothing that the zygote's image brought along.
pub fn exit(code: i32) -> ! {
    // SAFETY: _exit takes any number and touches no memory of ours.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use nix::sys::wait::{WaitStatus, waitpid};

    use super::*;

    /// Also where a library calls exit(3), whose code stays.
    #[test]
    fn exit_handlers_are_skipped() {
        extern "C" fn handler() {
            exit(1)
        }
        let child = fork(|| {
            // SAFETY: the function is there for as long as the process.
            unsafe { libc::atexit(handler) };
            let _ = skip_exit_handlers();
            // SAFETY: what it runs are the handlers.
            unsafe { libc::exit(7) }
        });
        let child = child.unwrap();
        assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 7)));
    }
}
