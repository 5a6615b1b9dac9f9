//! Containers of WebAssembly modules, made without libcontainer's processes,
//! messages and cgroup manager, which take most of the time of a start. What it
//! knows of mounts, devices, namespaces, seccomp and capabilities is used here
//! too. `Plan::of` says which containers are made so; all others are made by
//! `full.rs`, and the same tests hold for both.

mod cgroup;
mod init;
mod limits;
mod peek;
mod plan;

use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::wait::waitpid;
use rustix::process::{Signal, pidfd_send_signal};

use crate::error::{Context, Error, Result};
use crate::fds;
use crate::fork::fork_first;
use crate::guest::{Guest, Hearer, Verdict};
use crate::launcher::pidfd;
use crate::trace;
pub use plan::Plan;

/// A container that was made so; its init process waits.
pub struct Direct {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// The first byte lets the program run; closing it unwritten ends the
    /// process.
    pub start: OwnedFd,
}

impl Direct {
    /// `None` if the program turns out to be a native one: nothing is left then
    /// but the cgroup.
    pub fn create(
        plan: &Plan<'_>,
        stdio: &[OwnedFd; 3],
        guest: Guest,
        verdict: Hearer,
    ) -> Result<Option<Self>> {
        trace::done("plan");
        let places = cgroup::make(plan)?;
        trace::done("cgroup");
        let (reader, writer) = std::io::pipe().context("can't make a pipe")?;
        let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
        let forked = fork_first(|| {
            // Or the process would not see that its shim is gone.
            fds::close(writer.as_raw_fd());
            trace::take();
            init::run(plan, &places, stdio, &reader, &guest)
        })?;
        trace::done("fork");
        // The process's ends of pipes are its own.
        drop((guest, reader, places));
        let pid = forked.as_raw();
        let pidfd = pidfd::of(pid, "can't get a pidfd of the container's process")?;
        let made = Self {
            pid,
            pidfd,
            start: writer,
        };
        let ended = match verdict.receive() {
            Some(Verdict::Module) => return Ok(Some(made)),
            Some(Verdict::Native) => Ok(None),
            Some(Verdict::Refused { sentence }) => Err(Error::Guest(sentence)),
            Some(Verdict::Unready { reason }) => Err(Error::SetUp { reason }),
            None => Err(Error::SetUp {
                reason: "its process ended before it was ready".into(),
            }),
        };
        made.end();
        ended
    }

    /// Ends the process, and waits until it is gone.
    pub fn end(&self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = waitpid(nix::unistd::Pid::from_raw(self.pid), None);
    }
}
