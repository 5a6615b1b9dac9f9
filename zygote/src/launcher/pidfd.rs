use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::error::{Context, Result};

/// A pidfd of a child that was not waited for: the pid is still its own. `what`
/// can't be done without it.
pub fn of(pid: i32, what: &'static str) -> Result<OwnedFd> {
    Pid::from_raw(pid)
        .ok_or(rustix::io::Errno::SRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
        .context(what)
}
