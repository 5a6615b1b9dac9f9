use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipc::{Channel, ExitStatus, FromLauncher, Launch, ToLauncher};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::Shutdown;

use crate::connection::Connection;
use crate::content::Modules;
use crate::error::{Context, Error, Result};
use crate::process::Handle;
use crate::watched::{Watched, recv, watch};

/// How long a launcher may take to undo what it has prepared.
const UNDONE_WITHIN: Duration = Duration::from_secs(1);

/// A process that makes one container and then waits to start it. It ends when
/// this is dropped.
#[derive(Debug)]
pub struct Launcher {
    channel: Watched<Channel>,
    parentage: Parentage,
}

/// Who lets a container's init process run.
#[derive(Debug)]
pub enum Starter {
    /// The launcher, which goes then, or when this is dropped.
    Launcher(Launcher),
    /// The first byte in this pipe; the process ends when it is closed before.
    Pipe(OwnedFd),
}

impl Starter {
    pub async fn start(self) -> Result<()> {
        match self {
            Self::Launcher(launcher) => launcher.start().await,
            Self::Pipe(pipe) => rustix::io::write(pipe, &[0])
                .map(drop)
                .context("the container's process has ended"),
        }
    }
}

/// Whom to ask how a container's init process ended.
#[derive(Debug, Clone)]
pub struct Parentage {
    launcher: i32,
    zygote: Arc<Connection>,
}

impl Parentage {
    /// To be asked when the process has ended and its launcher is dropped.
    pub async fn exit_status(&self, pid: i32) -> Option<ExitStatus> {
        self.zygote.exit_status(self.launcher, pid).await
    }
}

/// The descriptors of a process to be made.
#[derive(Debug)]
pub struct Streams {
    pub stdio: [OwnedFd; 3],
    /// To the store of native code, if the process may ask it.
    pub library: Option<OwnedFd>,
}

impl Launcher {
    pub fn new(channel: Channel, launcher: i32, zygote: Arc<Connection>) -> Result<Self> {
        Ok(Self {
            channel: watch(channel).context("can't watch the launcher")?,
            parentage: Parentage { launcher, zygote },
        })
    }

    /// Makes the container that was prepared; returns its init process, which
    /// waits.
    pub async fn create(self, modules: Modules, streams: Streams) -> Result<(Handle, Starter)> {
        let request = ToLauncher::Create {
            modules: modules.files,
        };
        let (handle, pipe) = self.make(&request, streams, modules.fds).await?;
        let starter = match pipe {
            Some(pipe) => Starter::Pipe(pipe),
            None => Starter::Launcher(self),
        };
        Ok((handle, starter))
    }

    /// Has undone what was prepared, and waits for that.
    pub async fn dismiss(self) {
        // All that it can be asked has been asked.
        let _ = rustix::net::shutdown(self.channel.get_ref(), Shutdown::Write);
        let ended = async { while self.reply().await.is_ok() {} };
        let _ = tokio::time::timeout(UNDONE_WITHIN, ended).await;
    }

    /// Whether it has ended, though it has made nothing, or its zygote has, which
    /// could tell how the container's process ended.
    pub fn is_gone(&self) -> bool {
        if self.parentage.zygote.is_closed() {
            return true;
        }
        let mut fds = [PollFd::new(self.channel.get_ref(), PollFlags::empty())];
        rustix::event::poll(&mut fds, Some(&Timespec::default())).is_ok_and(|gone| gone > 0)
    }

    /// Adds a process to a running container and lets it run. `process`: the
    /// file of its `process` object of the OCI runtime spec; `init`: the pid of
    /// the container's first process.
    pub async fn exec(
        &self,
        launch: Launch,
        process: PathBuf,
        init: u32,
        streams: Streams,
    ) -> Result<Handle> {
        let request = ToLauncher::Exec {
            launch,
            process,
            init: i32::try_from(init).unwrap_or_default(),
        };
        Ok(self.make(&request, streams, Vec::new()).await?.0)
    }

    async fn make(
        &self,
        request: &ToLauncher,
        streams: Streams,
        modules: Vec<OwnedFd>,
    ) -> Result<(Handle, Option<OwnedFd>)> {
        let fds: Vec<_> = streams
            .stdio
            .iter()
            .chain(&modules)
            .chain(&streams.library)
            .map(AsFd::as_fd)
            .collect();
        self.ask(request, &fds)?;
        // The process's ends are its own from here on: who reads its output
        // waits until nobody else could write any more. Modules are memory.
        drop((streams, modules));
        match self.reply().await? {
            (FromLauncher::Created { pid, phases }, fds) => {
                let mut fds = fds.into_iter();
                let pidfd = fds.next().ok_or_else(out_of_order)?;
                let handle = Handle {
                    pid: u32::try_from(pid).unwrap_or_default(),
                    pidfd: watch(pidfd).context("can't watch the container's process")?,
                    parentage: self.parentage.clone(),
                    phases,
                };
                Ok((handle, fds.next()))
            }
            (other, _) => Err(failure(other)),
        }
    }

    /// Sets the limits of a container that is there. `resources`: a file of
    /// `linux.resources` of the OCI runtime spec.
    pub async fn update(&self, launch: Launch, resources: PathBuf) -> Result<()> {
        self.ask(&ToLauncher::Update { launch, resources }, &[])?;
        match self.reply().await? {
            (FromLauncher::Updated, _) => Ok(()),
            (other, _) => Err(failure(other)),
        }
    }

    /// Lets the init process run.
    async fn start(&self) -> Result<()> {
        self.ask(&ToLauncher::Start, &[])?;
        match self.reply().await? {
            (FromLauncher::Started, _) => Ok(()),
            (other, _) => Err(failure(other)),
        }
    }

    /// Runs the poststop hooks of a container, and removes what is left of it.
    pub async fn delete(&self, launch: Launch) -> Result<()> {
        self.ask(&ToLauncher::Delete(launch), &[])?;
        match self.reply().await? {
            (FromLauncher::Deleted, _) => Ok(()),
            (other, _) => Err(failure(other)),
        }
    }

    fn ask(&self, request: &ToLauncher, fds: &[BorrowedFd<'_>]) -> Result<()> {
        let sent = self.channel.get_ref().try_send(request, fds);
        sent.map_err(explain)
    }

    async fn reply(&self) -> Result<(FromLauncher, Vec<OwnedFd>)> {
        recv(&self.channel).await.map_err(explain)
    }
}

fn explain(error: ipc::Error) -> Error {
    match error {
        ipc::Error::Closed => {
            Error::Launch("the launcher of the container was killed before it was done".into())
        }
        other => other.into(),
    }
}

fn failure(reply: FromLauncher) -> Error {
    match reply {
        FromLauncher::Failed { reason } => Error::Launch(reason),
        _ => out_of_order(),
    }
}

fn out_of_order() -> Error {
    Error::Launch("the launcher answered something else than it was asked".into())
}
