use std::os::fd::{AsFd, AsRawFd};

use ipc::Channel;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::error::Result;
use crate::fds;

/// A launcher that was forked before it is needed, as a fork takes a good part
/// of the time of a start. It waits for the connection of its container, and
/// ends with the zygote.
#[derive(Debug)]
pub struct Spare {
    pub pid: Pid,
    channel: Channel,
}

impl Spare {
    /// `fork` forks a child that runs what it is given.
    pub fn new(fork: impl FnOnce(&dyn Fn() -> Option<Channel>) -> Result<Pid>) -> Result<Self> {
        let (channel, child) = Channel::pair()?;
        let pid = fork(&|| {
            // Or it would not see that the zygote is gone.
            fds::close(channel.as_raw_fd());
            await_work(&child)
        })?;
        Ok(Self { pid, channel })
    }

    /// Gives it its container's connection.
    pub fn employ(&self, connection: &Channel) -> Result<()> {
        Ok(self.channel.try_send(&(), &[connection.as_fd()])?)
    }

    /// Returns when it has ended.
    pub fn dismiss(self) {
        drop(self.channel);
        // It was killed and collected before, or is now.
        let _ = waitpid(self.pid, None);
    }

    /// For children of the zygote, which have nothing to do with it.
    pub fn close(&self) {
        fds::close(self.channel.as_raw_fd());
    }
}

/// `None` if the zygote is gone.
fn await_work(channel: &Channel) -> Option<Channel> {
    let ((), mut fds) = channel.recv().ok()?;
    fds.pop().map(Channel::from)
}
