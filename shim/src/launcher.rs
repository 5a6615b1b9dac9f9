use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use ipc::{Channel, ExitStatus, FromLauncher, Launch, ToLauncher};

use crate::connection::Connection;
use crate::error::{Context, Error, Result};
use crate::process::Handle;
use crate::watched::{Watched, recv, watch};

/// A process that makes one container and then waits to start it. It ends when
/// this is dropped.
#[derive(Debug)]
pub struct Launcher {
    channel: Watched<Channel>,
    parentage: Parentage,
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

    /// Makes the container; returns its init process, which waits.
    pub async fn create(&self, launch: Launch, streams: Streams) -> Result<Handle> {
        self.make(&ToLauncher::Create(launch), streams).await
    }

    /// Adds a process to a running container and lets it run. `process`: the
    /// file of its `process` object of the OCI runtime spec.
    pub async fn exec(&self, launch: Launch, process: PathBuf, streams: Streams) -> Result<Handle> {
        self.make(&ToLauncher::Exec { launch, process }, streams)
            .await
    }

    async fn make(&self, request: &ToLauncher, streams: Streams) -> Result<Handle> {
        let fds: Vec<_> = streams
            .stdio
            .iter()
            .chain(&streams.library)
            .map(AsFd::as_fd)
            .collect();
        self.ask(request, &fds)?;
        // The process's ends are its own from here on: who reads its output
        // waits until nobody else could write any more.
        drop(streams);
        match self.reply().await? {
            (FromLauncher::Created { pid }, fds) => match <[OwnedFd; 1]>::try_from(fds) {
                Ok([pidfd]) => Ok(Handle {
                    pid: u32::try_from(pid).unwrap_or_default(),
                    pidfd: watch(pidfd).context("can't watch the container's process")?,
                    parentage: self.parentage.clone(),
                }),
                Err(_) => Err(out_of_order()),
            },
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
    pub async fn start(&self) -> Result<()> {
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
