use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use ipc::{ExitStatus, Phase};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use tokio::sync::watch;

use crate::error::{Context, Error, Result};
use crate::exit_info;
use crate::launcher::Parentage;
use crate::stdio::{Held, StdioPaths};
use crate::watched::Watched;

/// The exit code that is reported when nobody could say how a process ended.
pub const UNKNOWN: u32 = 255;

/// How long the parent of a process may take to wait for it, if that is not the
/// zygote. Nothing tells when it has.
const WAITED_FOR_WITHIN: Duration = Duration::from_secs(1);

/// How and when a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    pub status: u32,
    pub at: SystemTime,
}

impl Exit {
    pub fn now(status: u32) -> Self {
        let at = SystemTime::now();
        Self { status, at }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Created,
    Running,
    Stopped(Exit),
}

/// The kernel's side of a process.
#[derive(Debug)]
pub struct Handle {
    pub pid: u32,
    pub pidfd: Watched<OwnedFd>,
    pub parentage: Parentage,
    /// How it was made, if that was asked for.
    pub phases: Vec<Phase>,
}

/// A process of a container: its init, or one that was added (exec).
#[derive(Debug)]
pub struct Process {
    /// What containerd knows the process by, for messages.
    name: String,
    pub stdio: StdioPaths,
    handle: OnceLock<Handle>,
    held: OnceLock<Held>,
    status: watch::Sender<Status>,
}

impl Process {
    pub fn new(name: String, stdio: StdioPaths) -> Self {
        Self {
            name,
            stdio,
            handle: OnceLock::new(),
            held: OnceLock::new(),
            status: watch::Sender::new(Status::Created),
        }
    }

    /// To be called once, when there is a process.
    pub fn set(&self, handle: Handle, held: Held) {
        let _ = self.handle.set(handle);
        let _ = self.held.set(held);
    }

    /// 0 as long as there is no process.
    pub fn pid(&self) -> u32 {
        self.handle.get().map_or(0, |handle| handle.pid)
    }

    pub fn held(&self) -> Option<&Held> {
        self.held.get()
    }

    pub fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// The program runs from now on.
    pub fn started(&self) {
        if let Some(held) = self.held() {
            held.started();
        }
        self.status.send_replace(Status::Running);
    }

    pub fn stopped(&self, exit: Exit) {
        self.status.send_replace(Status::Stopped(exit));
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.check_not_stopped()?;
        let Some(handle) = self.handle.get() else {
            return Err(self.wrong_state("has not been started"));
        };
        match pidfd_send_signal(handle.pidfd.get_ref(), signal) {
            Err(Errno::SRCH) => Err(Error::Exited(self.name.clone())),
            sent => sent.context("can't send the signal"),
        }
    }

    pub fn check_not_stopped(&self) -> Result<()> {
        match self.status() {
            Status::Stopped(_) => Err(Error::Exited(self.name.clone())),
            _ => Ok(()),
        }
    }

    pub fn wrong_state(&self, what: &'static str) -> Error {
        Error::WrongState {
            id: self.name.clone(),
            what,
        }
    }

    /// Waits until it is known how the process ended.
    pub async fn wait(&self) -> Result<Exit> {
        let mut status = self.status.subscribe();
        let stopped = status
            .wait_for(|status| matches!(status, Status::Stopped(_)))
            .await;
        match stopped.map(|status| *status) {
            Ok(Status::Stopped(exit)) => Ok(exit),
            _ => Err(Error::NoTask(self.name.clone())),
        }
    }

    /// Waits until the process has ended; returns when it did.
    pub async fn ended(&self) -> SystemTime {
        if let Some(handle) = self.handle.get() {
            // A pidfd becomes readable when its process ends (pidfd_open(2)).
            if let Err(error) = handle.pidfd.readable().await {
                log::error!(process = self.name; "can't watch process {}: {error}", handle.pid);
            }
        }
        SystemTime::now()
    }

    /// How the process ended, which has. Its launcher is dropped.
    pub async fn exit_status(&self) -> u32 {
        let Some(handle) = self.handle.get() else {
            return UNKNOWN;
        };
        let pid = i32::try_from(handle.pid).unwrap_or_default();
        let status = match handle.parentage.exit_status(pid).await {
            Some(status) => Some(status),
            // The zygote is gone; who is the parent now will wait soon.
            None => exit_status_of_orphan(handle.pidfd.get_ref()).await,
        };
        status.map_or_else(
            || {
                log::error!(process = self.name; "nobody knows how process {pid} ended");
                UNKNOWN
            },
            ExitStatus::code,
        )
    }
}

async fn exit_status_of_orphan(pidfd: &OwnedFd) -> Option<ExitStatus> {
    let deadline = tokio::time::Instant::now() + WAITED_FOR_WITHIN;
    loop {
        let status = exit_info::of(pidfd);
        if status.is_some() || tokio::time::Instant::now() > deadline {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
