//! The one place that forks.
#![allow(unsafe_code)]

/// Forks a child that runs `child` and ends with what that returns as its exit
/// code. To be called by a process with a single thread; returns the child's pid.
pub fn fork(child: impl FnOnce() -> i32) -> std::io::Result<u32> {
    // SAFETY: the calling process has a single thread, so that the child finds
    // every lock free and may allocate and call what it likes.
    match unsafe { libc::fork() } {
        0 => std::process::exit(child()),
        pid => u32::try_from(pid).map_err(|_| std::io::Error::last_os_error()),
    }
}
