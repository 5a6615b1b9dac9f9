use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::io;
use rustix::process::{PidfdFlags, Signal, getpid, pidfd_open, set_parent_process_death_signal};

/// The launcher, without which an added process that is not yet let go would
/// wait for ever: nobody else knows of it.
pub struct Parent(OwnedFd);

impl Parent {
    /// This process, to be forked.
    pub fn this() -> io::Result<Self> {
        pidfd_open(getpid(), PidfdFlags::empty()).map(Self)
    }

    /// From here on the end of the parent is the end of this process.
    pub fn follow(&self) -> Result<(), String> {
        set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|error| format!("the launcher can't be followed: {error}"))?;
        // It may have ended before that.
        let mut ended = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ended, PollTimeout::ZERO) {
            Ok(0) => Ok(()),
            _ => Err("the launcher is gone".into()),
        }
    }

    /// The program is let go, and has a life of its own.
    pub fn leave(&self) {
        // What was set can be unset.
        let _ = set_parent_process_death_signal(None);
    }
}
