use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::error::{Context, Result};

/// SIGCHLD as a file descriptor.
pub struct ChildSignal(SignalFd);

impl ChildSignal {
    pub fn new() -> Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGCHLD);
        set.thread_block().context("can't block SIGCHLD")?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .context("can't make a signalfd")?;
        Ok(Self(fd))
    }

    /// Forgets the signals that came.
    pub fn drain(&self) {
        while let Ok(Some(_)) = self.0.read_signal() {}
    }

    /// For a child: all signals as they were before.
    pub fn restore() {
        // A mask that can't be set is one that is wrong already; nothing to do.
        let _ = SigSet::empty().thread_set_mask();
    }
}

impl AsFd for ChildSignal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
