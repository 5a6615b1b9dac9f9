//! The launcher: a short-lived process that makes one container.
//!
//! It lives from Create to Start. Its connection to the shim ends it: when the
//! shim closes it, the launcher goes.

mod cgroup_mount;
mod container;
mod direct;
mod exec;
mod explain;
mod full;
mod hide;
mod keyring;
mod mounts;
mod oom_score;
mod outputs;
mod pidfd;
mod security_modules;
mod update;

use std::os::fd::{AsFd, OwnedFd};

use ipc::{Channel, FromLauncher, ToLauncher};
use rustix::process::{Signal, pidfd_send_signal};

use crate::error::{Error, Result, shorten};
use crate::guest::Artifact;
use crate::trace;
use container::Created;

/// Serves one container's connection; returns the exit code of the process.
pub fn run(connection: Channel) -> i32 {
    let _ = rustix::thread::set_name(c"wasm-launcher");
    match serve(&connection) {
        Ok(()) | Err(Error::Ipc(ipc::Error::Closed)) => 0,
        Err(error) => {
            let reason = shorten(error.to_string());
            // If nobody listens any more, there is nobody to tell.
            i32::from(
                connection
                    .send(&FromLauncher::Failed { reason }, &[])
                    .is_err(),
            )
        }
    }
}

fn serve(connection: &Channel) -> Result<()> {
    let (request, fds) = connection.recv::<ToLauncher>()?;
    match request {
        ToLauncher::Create {
            launch,
            cgroup,
            modules,
        } => {
            if launch.trace {
                trace::begin();
            }
            let (streams, fds) = streams(fds, modules.len())?;
            let artifact = Artifact::new(modules, fds);
            let mut created = Created::create(&launch, &cgroup, streams, artifact, connection)?;
            if let Err(error) = created.announce(connection) {
                // The shim went away meanwhile: nobody else knows of this container.
                created.discard(&cgroup);
                return Err(error);
            }
            if created.needs_no_launcher() {
                return Ok(());
            }
            match connection.recv::<ToLauncher>()?.0 {
                ToLauncher::Start => created.start()?,
                _ => return Err(Error::OutOfOrder("something else than a start")),
            }
            connection.send(&FromLauncher::Started, &[])?;
        }
        ToLauncher::Exec {
            launch,
            process,
            init,
        } => {
            let streams = streams(fds, 0)?.0;
            let (pid, pidfd) = exec::exec(&launch, &process, init, streams, connection)?;
            let phases = Vec::new();
            let created = FromLauncher::Created { pid, phases };
            if let Err(error) = connection.send(&created, &[pidfd.as_fd()]) {
                // Nobody else knows of this process.
                let _ = pidfd_send_signal(&pidfd, Signal::KILL);
                return Err(error.into());
            }
        }
        ToLauncher::Update { launch, resources } => {
            update::update(&launch, &resources)?;
            connection.send(&FromLauncher::Updated, &[])?;
        }
        ToLauncher::Delete(launch) => {
            full::delete(&launch)?;
            connection.send(&FromLauncher::Deleted, &[])?;
        }
        ToLauncher::Start => return Err(Error::OutOfOrder("a start before a create")),
    }
    Ok(())
}

/// The descriptors of a process to be made.
pub struct Streams {
    stdio: [OwnedFd; 3],
    /// To the shim's store of native code, if it may be asked.
    library: Option<OwnedFd>,
}

/// Also returns the descriptors of so many modules.
fn streams(fds: Vec<OwnedFd>, modules: usize) -> Result<(Streams, Vec<OwnedFd>)> {
    let mut fds = fds.into_iter();
    let stdio: Vec<_> = fds.by_ref().take(3).collect();
    let stdio = <[OwnedFd; 3]>::try_from(stdio)
        .map_err(|_| Error::OutOfOrder("a process without stdin, stdout and stderr"))?;
    let files: Vec<_> = fds.by_ref().take(modules).collect();
    if files.len() != modules {
        return Err(Error::OutOfOrder("a module without its file"));
    }
    let library = fds.next();
    Ok((Streams { stdio, library }, files))
}
