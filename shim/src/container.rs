use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ipc::{ExitStatus, Launch};
use oci::Bundle;
use rustix::process::{Signal, pidfd_send_signal};
use tokio::sync::watch;

use crate::cgroup::Cgroup;
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::events::EventQueue;
use crate::exit_info;
use crate::launcher::{Launcher, Parentage};
use crate::stdio::{self, StdioPaths};
use crate::watched::{Watched, watch};
use crate::zygote::Zygote;

/// The exit code that is reported when nobody could say how a process ended.
const UNKNOWN: u32 = 255;

/// How long the parent of a process may take to wait for it, if that is not the
/// zygote. Nothing tells when it has.
const WAITED_FOR_WITHIN: Duration = Duration::from_secs(1);

/// How and when a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    pub status: u32,
    pub at: SystemTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Created,
    Running,
    Stopped(Exit),
}

/// One container and its init process, from Create to Delete.
#[derive(Debug)]
pub struct Container {
    pub launch: Launch,
    pub stdio: StdioPaths,
    pub pid: u32,
    pub cgroup: Cgroup,
    pub has_poststop_hooks: bool,
    has_own_pids: bool,
    pidfd: Watched<OwnedFd>,
    parentage: Parentage,
    held: stdio::Held,
    /// `Some` until the process was started or has ended. Held while the state
    /// changes, so that a start is done before an exit is told.
    launcher: tokio::sync::Mutex<Option<Launcher>>,
    status: watch::Sender<Status>,
    events: EventQueue,
}

impl Container {
    /// Makes the container and its init process, which then waits for `start`.
    /// The rootfs is mounted.
    pub async fn create(
        launch: Launch,
        stdio: StdioPaths,
        cgroup: Cgroup,
        bundle: &Bundle,
        zygote: &Zygote,
        events: EventQueue,
    ) -> Result<Arc<Self>> {
        let launcher = zygote.fork().await?;
        let (ends, held) = stdio::open(&stdio, events.containerd())?;
        let (pid, pidfd) = launcher.create(launch.clone(), ends).await?;
        let container = Arc::new(Self {
            launch,
            stdio,
            pid: u32::try_from(pid).unwrap_or_default(),
            cgroup,
            has_poststop_hooks: bundle.has_poststop_hooks(),
            has_own_pids: bundle.has_own_pids(),
            pidfd: watch(pidfd).context("can't watch the container's process")?,
            parentage: launcher.parentage(),
            held,
            launcher: tokio::sync::Mutex::new(Some(launcher)),
            status: watch::Sender::new(Status::Created),
            events,
        });
        container.events.publish(Event::Create {
            id: container.id().to_owned(),
            bundle: container.bundle().display().to_string(),
            stdio: container.stdio.clone(),
            pid: container.pid,
        });
        tokio::spawn(Arc::clone(&container).watch());
        Ok(container)
    }

    pub fn id(&self) -> &str {
        &self.launch.id
    }

    pub fn bundle(&self) -> &Path {
        &self.launch.bundle
    }

    pub fn status(&self) -> Status {
        *self.status.borrow()
    }

    pub async fn start(&self) -> Result<()> {
        let mut launcher = self.launcher.lock().await;
        match self.status() {
            Status::Created => {}
            Status::Running => return Err(self.wrong_state("is running already")),
            Status::Stopped(_) => return Err(self.wrong_state("has ended before it was started")),
        }
        let Some(launcher) = launcher.take() else {
            return Err(self.wrong_state("was started before, without success"));
        };
        launcher.start().await?;
        self.held.started();
        self.status.send_replace(Status::Running);
        self.events.publish(Event::Start {
            id: self.id().to_owned(),
            pid: self.pid,
        });
        Ok(())
    }

    /// Signals the init process alone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.check_alive()?;
        match pidfd_send_signal(self.pidfd.get_ref(), signal) {
            Err(rustix::io::Errno::SRCH) => Err(Error::Exited(self.id().to_owned())),
            sent => sent.context("can't send the signal"),
        }
    }

    /// Signals all processes of the container; also those that have outlived
    /// its init process, of which the error tells.
    pub fn signal_all(&self, signal: Signal) -> Result<()> {
        self.cgroup.signal(signal);
        self.check_alive()
    }

    /// Ends the init process if it was created but not started.
    pub async fn end_unstarted(&self) -> Result<()> {
        {
            // Waits for a start that is under way.
            let _launcher = self.launcher.lock().await;
            if self.status() != Status::Created {
                return Ok(());
            }
            match self.signal(Signal::KILL) {
                Ok(()) | Err(Error::Exited(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.wait().await.map(drop)
    }

    pub fn close_stdin(&self) {
        self.held.close_stdin();
    }

    /// Waits for the end of the init process.
    pub async fn wait(&self) -> Result<Exit> {
        let mut status = self.status.subscribe();
        let stopped = status
            .wait_for(|status| matches!(status, Status::Stopped(_)))
            .await;
        match stopped.map(|status| *status) {
            Ok(Status::Stopped(exit)) => Ok(exit),
            _ => Err(Error::NoTask(self.id().to_owned())),
        }
    }

    /// Follows the init process to its end and tells of it.
    async fn watch(self: Arc<Self>) {
        // A pidfd becomes readable when its process ends (pidfd_open(2)).
        let ended = self.pidfd.readable().await;
        let at = SystemTime::now();
        if let Err(error) = ended {
            log::error!("can't watch process {}: {error}", self.pid);
        }
        // Waits for a start that is under way, and ends the launcher, which is
        // the process's parent as long as it lives.
        let mut launcher = self.launcher.lock().await;
        launcher.take();
        if !self.has_own_pids {
            // Nobody else ends what the process has left, which holds its
            // output open: the kernel does so for a pid namespace alone.
            self.cgroup.signal(Signal::KILL);
        }
        let status = self.exit_status().await;
        let exit = Exit { status, at };
        self.status.send_replace(Status::Stopped(exit));
        self.events.publish(Event::Exit {
            id: self.id().to_owned(),
            pid: self.pid,
            exit,
        });
    }

    async fn exit_status(&self) -> u32 {
        let pid = i32::try_from(self.pid).unwrap_or_default();
        let status = match self.parentage.exit_status(pid).await {
            Some(status) => Some(status),
            // The zygote is gone; who is the parent now will wait soon.
            None => self.exit_status_of_orphan().await,
        };
        status.map_or_else(
            || {
                log::error!("nobody knows how process {pid} ended");
                UNKNOWN
            },
            ExitStatus::code,
        )
    }

    async fn exit_status_of_orphan(&self) -> Option<ExitStatus> {
        let deadline = tokio::time::Instant::now() + WAITED_FOR_WITHIN;
        loop {
            let status = exit_info::of(self.pidfd.get_ref());
            if status.is_some() || tokio::time::Instant::now() > deadline {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn check_alive(&self) -> Result<()> {
        match self.status() {
            Status::Stopped(_) => Err(Error::Exited(self.id().to_owned())),
            _ => Ok(()),
        }
    }

    fn wrong_state(&self, what: &'static str) -> Error {
        Error::WrongState {
            id: self.id().to_owned(),
            what,
        }
    }
}
