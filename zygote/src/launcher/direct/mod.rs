//! Containers of WebAssembly modules, made without libcontainer's processes,
//! messages and cgroup manager, which take most of the time of a start. What it
//! knows of mounts, devices, namespaces, seccomp and capabilities is used here
//! too. `Plan::of` says which containers are made so; all others are made by
//! `full.rs`, and the same tests hold for both.

mod ahead;
mod cgroup;
mod confine;
mod devices;
mod init;
mod limits;
mod mounts;
mod namespaces;
mod peek;
mod plan;
mod root;
mod rootfs;

use std::os::fd::OwnedFd;

use ipc::{CgroupFolder, Launch};

use super::asked::Asked;
use crate::error::{Error, Result, chain};
use crate::guest::Verdict;
use crate::trace;
pub use ahead::Ahead;
use ahead::{Order, Process};
pub use peek::is_module;
pub use plan::Plan;

/// A step of setting up a container; the error is for the person who wants it.
type Step = std::result::Result<(), String>;

fn said(what: &str, error: &dyn std::error::Error) -> String {
    format!("{what}: {}", chain(error))
}

/// A container whose init process has all that `config.json` alone can give it,
/// and waits for the rest.
#[derive(Debug)]
pub struct Begun(Ahead);

/// A container that was made; its init process waits.
#[derive(Debug)]
pub struct Direct {
    process: Process,
    /// The first byte lets the program run; closing it unwritten ends the
    /// process.
    pub start: OwnedFd,
}

impl Begun {
    /// The process makes the same plan for itself meanwhile.
    pub fn new(
        ahead: Ahead,
        plan: &Plan<'_>,
        launch: &Launch,
        cgroup: &[CgroupFolder],
    ) -> Result<Self> {
        let prepare = Order::Prepare {
            launch: launch.clone(),
            cgroup: cgroup.to_vec(),
        };
        let begin = || {
            tell(&ahead, &prepare, None);
            cgroup::make(plan)?;
            trace::done("cgroup");
            tell(&ahead, &Order::Join, None);
            Ok(())
        };
        match begin() {
            Ok(()) => Ok(Self(ahead)),
            Err(error) => {
                ahead.process.end();
                Err(error)
            }
        }
    }

    /// Has the container made of what was asked for. `None` if the program turns
    /// out to be a native one: nothing is left then but the cgroup.
    pub fn finish(self, asked: &Asked) -> Result<Option<Direct>> {
        let create = Order::Create {
            modules: asked.modules.clone(),
        };
        tell(&self.0, &create, Some(asked));
        let Ahead {
            process,
            verdict,
            start,
            ..
        } = self.0;
        let ended = match verdict.receive() {
            Some(Verdict::Module) => return Ok(Some(Direct { process, start })),
            Some(Verdict::Native) => Ok(None),
            Some(Verdict::Refused { sentence }) => Err(Error::Guest(sentence)),
            Some(Verdict::Unready { reason }) => Err(Error::SetUp { reason }),
            None => Err(Error::SetUp {
                reason: "its process ended before it was ready".into(),
            }),
        };
        process.end();
        ended
    }

    /// Whether its process is still there.
    pub fn is_alive(&self) -> bool {
        self.0.process.is_alive()
    }

    /// Ends what was begun; the cgroup stays.
    pub fn end(self) {
        self.0.process.end();
    }
}

/// Without success if the process has ended, of which the verdict tells.
fn tell(ahead: &Ahead, order: &Order, asked: Option<&Asked>) {
    let fds = asked.map(Asked::fds).unwrap_or_default();
    let _ = ahead.orders.send(order, &fds);
}

impl Direct {
    pub fn pid(&self) -> i32 {
        self.process.pid
    }

    pub fn pidfd(&self) -> &OwnedFd {
        &self.process.pidfd
    }

    pub fn end(&self) {
        self.process.end();
    }
}
