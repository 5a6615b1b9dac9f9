//! The launcher: a short-lived process that makes one container.
//!
//! It lives from Create to Start. Its connection to the shim ends it: when the
//! shim closes it, the launcher goes.

mod asked;
mod cgroup_mount;
mod container;
mod direct;
mod exec;
mod explain;
mod full;
mod groundwork;
mod hide;
mod keyring;
mod mounts;
mod oom_score;
mod outputs;
mod pidfd;
mod rewritten;
mod security_modules;
mod update;

use std::os::fd::AsFd;

use ipc::{CgroupFolder, Channel, FromLauncher, Launch, ToLauncher};
use rustix::process::{Signal, pidfd_send_signal};

use crate::empty_mounts::EmptyMounts;
use crate::error::{Error, Result, shorten};
use crate::trace;
use asked::Asked;
use container::Created;
pub use direct::Ahead;

/// What a launcher makes containers of directly.
#[derive(Debug, Default)]
pub struct Kit<'a> {
    pub empty: Option<&'a EmptyMounts>,
    pub ahead: Option<Ahead>,
}

impl Kit<'_> {
    /// Ends the process that there is no work for.
    pub fn dismiss(self) {
        if let Some(ahead) = self.ahead {
            ahead.process.end();
        }
    }
}

/// Serves one container's connection; returns the exit code of the process.
pub fn run(connection: Channel, kit: Kit<'_>) -> i32 {
    let _ = rustix::thread::set_name(c"wasm-launcher");
    match serve(&connection, kit) {
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

fn serve(connection: &Channel, kit: Kit<'_>) -> Result<()> {
    let (request, fds) = connection.recv::<ToLauncher>()?;
    let kit = match request {
        ToLauncher::Prepare { .. } => kit,
        // An init process that waits for orders is in nobody else's reach.
        _ => {
            kit.dismiss();
            Kit::default()
        }
    };
    match request {
        ToLauncher::Prepare { launch, cgroup } => create(&launch, &cgroup, connection, kit)?,
        ToLauncher::Exec {
            launch,
            process,
            init,
        } => {
            let (streams, _) = Asked::new(Vec::new(), fds)?.apart();
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
        ToLauncher::Create { .. } => return Err(Error::OutOfOrder("a create without a prepare")),
        ToLauncher::Start => return Err(Error::OutOfOrder("a start before a create")),
    }
    Ok(())
}

fn create(
    launch: &Launch,
    cgroup: &[CgroupFolder],
    connection: &Channel,
    kit: Kit<'_>,
) -> Result<()> {
    if launch.trace {
        trace::begin();
    }
    let mut created = Created::create(launch, cgroup, connection, kit)?;
    if let Err(error) = created.announce(connection) {
        // The shim went away meanwhile: nobody else knows of this container.
        created.discard(cgroup);
        return Err(error);
    }
    if created.needs_no_launcher() {
        return Ok(());
    }
    match connection.recv::<ToLauncher>()?.0 {
        ToLauncher::Start => created.start()?,
        _ => return Err(Error::OutOfOrder("something else than a start")),
    }
    Ok(connection.send(&FromLauncher::Started, &[])?)
}
