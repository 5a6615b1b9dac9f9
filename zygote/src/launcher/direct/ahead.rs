use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use ipc::{CgroupFolder, Channel, Launch, ModuleFile};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::waitpid;
use rustix::process::{Signal, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::init;
use crate::empty_mounts::EmptyMounts;
use crate::error::{Context, Result};
use crate::fds;
use crate::fork::fork_first;
use crate::guest::{Hearer, Verdict};
use crate::launcher::pidfd;

/// An init process that was forked before its container is known, as a fork and
/// namespaces take a good part of the time of a start. It does what it is told,
/// and ends when the other end of `orders` is closed.
#[derive(Debug)]
pub struct Ahead {
    pub process: Process,
    pub orders: Channel,
    pub verdict: Hearer,
    /// The first byte lets the program run; closing it unwritten ends the
    /// process.
    pub start: OwnedFd,
}

/// From a launcher to the init process, in this order.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Take on this container, as far as its `config.json` says.
    Prepare {
        launch: Launch,
        cgroup: Vec<CgroupFolder>,
    },
    /// Join its cgroup, which is there now.
    Join,
    /// Become it: what it is made of is there. Descriptors as for
    /// `ToLauncher::Create`.
    Create { modules: Vec<ModuleFile> },
}

impl Ahead {
    /// `own_network`: with a network namespace of its own, as the container is
    /// likely to want one.
    pub fn fork(empty: &EmptyMounts, own_network: bool) -> Result<Self> {
        let (verdict, reporter) = Verdict::channel()?;
        let (reader, writer) = std::io::pipe().context("can't make a pipe")?;
        let (start, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
        let (orders, theirs) = Channel::pair()?;
        let forked = fork_first(|| {
            let ends = init::Ends {
                orders: theirs,
                reporter,
                start,
            };
            // Nothing of the launcher's, which it could see the end of or speak
            // in the name of.
            fds::close_all_but(&[
                ends.orders.as_raw_fd(),
                ends.reporter.0.as_raw_fd(),
                ends.start.as_raw_fd(),
                empty.as_raw_fd(),
            ]);
            init::run(ends, empty, own_network)
        })?;
        Ok(Self {
            process: Process::new(forked.as_raw())?,
            orders,
            verdict,
            start: writer,
        })
    }
}

/// A child of this process.
#[derive(Debug)]
pub struct Process {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

impl Process {
    fn new(pid: i32) -> Result<Self> {
        let pidfd = pidfd::of(pid, "can't get a pidfd of the container's process")?;
        Ok(Self { pid, pidfd })
    }

    /// Whether it has not ended.
    pub fn is_alive(&self) -> bool {
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO) == Ok(0)
    }

    /// Ends the process, and waits until it is gone.
    pub fn end(&self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = waitpid(nix::unistd::Pid::from_raw(self.pid), None);
    }
}
