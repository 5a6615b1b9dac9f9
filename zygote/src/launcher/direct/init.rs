//! The container's init process, from its fork to its program. The steps and
//! their order are those of the OCI runtime spec ("runtime.md", "Lifecycle")
//! and of libcontainer, whose parts are used.

use std::os::fd::{AsRawFd, OwnedFd};

use ipc::{Channel, Launch};
use libcontainer::syscall::syscall::create_syscall;
use libcontainer::workload::Executor;
use nix::sched::CloneFlags;
use nix::unistd::{dup2, read, setsid};
use oci::spec::{LinuxNamespaceType, Process};
use oci::{Bundle, Workload};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::ahead::Order;
use super::confine::confine;
use super::mounts::Tree;
use super::namespaces::{Fresh, Wanted};
use super::{Plan, Step, cgroup, rootfs, said};
use crate::empty_mounts::EmptyMounts;
use crate::guest::{Artifact, Guest, Reporter};
use crate::launcher::asked::{Asked, Streams};
use crate::launcher::keyring;
use crate::trace;

/// The exit code of a process whose program never ran.
const NOT_RUN: i32 = 255;

/// The process's ends of what connects it with its launcher and its shim.
#[derive(Debug)]
pub struct Ends {
    pub orders: Channel,
    pub reporter: Reporter,
    pub start: OwnedFd,
}

/// Waits for a container, sets up what confines it, waits for a byte at `start`,
/// and runs the program.
pub fn run(ends: Ends, empty: &EmptyMounts, own_network: bool) -> i32 {
    let _ = rustix::thread::set_name(c"wasm-init");
    let _ = setsid();
    let fresh = Fresh::enter(own_network);
    let Ok((Order::Prepare { launch, cgroup }, _)) = ends.orders.recv() else {
        return NOT_RUN;
    };
    if launch.trace {
        trace::begin();
    }
    // The launcher has read the same, and tells of what is wrong with it.
    let Ok(bundle) = Bundle::load(&launch.bundle) else {
        return NOT_RUN;
    };
    let (Ok(workload), Some(plan)) = (
        Workload::from_spec(&bundle.spec),
        Plan::of(&bundle, &launch, &cgroup, empty),
    ) else {
        return NOT_RUN;
    };
    trace::done("init: plan");
    let Ok(guest) = Guest::new(workload, ends.reporter) else {
        return NOT_RUN;
    };
    let (library, artifact) = match make(&plan, &launch, fresh, &ends.orders) {
        Ok(made) => made,
        Err(stop) => {
            if let Stop::Unready(reason) = stop {
                guest.report_unready(reason);
            }
            return NOT_RUN;
        }
    };
    let guest = guest.asking(library).made_of(artifact);
    drop(ends.orders);
    // Says itself what is wrong with a program.
    if guest.validate(&plan.spec).is_err() {
        return NOT_RUN;
    }
    let mut byte = [0];
    if read(ends.start.as_raw_fd(), &mut byte) != Ok(1) {
        return NOT_RUN;
    }
    // Does not return.
    let _ = guest.exec(&plan.spec);
    NOT_RUN
}

/// Why there is no container.
enum Stop {
    Unready(String),
    /// Nobody is left who would want it.
    Unwanted,
}

impl From<String> for Stop {
    fn from(reason: String) -> Self {
        Self::Unready(reason)
    }
}

/// Sets up all that the program is to be met in; returns the way to native code,
/// and the program if it is not in the container.
fn make(
    plan: &Plan<'_>,
    launch: &Launch,
    fresh: Fresh,
    orders: &Channel,
) -> Result<(Option<OwnedFd>, Option<Artifact>), Stop> {
    if !launch.no_new_keyring {
        keyring::join_own(&launch.id).map_err(|error| error.to_string())?;
    }
    set_oom_score(plan.process)?;
    let wanted = plan.linux();
    let wanted = wanted.and_then(|linux| linux.namespaces().as_ref());
    let wanted = Wanted::new(wanted)?;
    fresh.become_wanted(&wanted)?;
    if wanted.has_new(LinuxNamespaceType::Uts) {
        set_names(plan)?;
    }
    trace::done("namespaces");
    let mounts = plan.spec.mounts().iter().flatten();
    let new = mounts.filter(|mount| !oci::is_bind(mount)).map(Tree::new);
    let new = new.collect::<Result<Vec<Tree>, String>>()?;
    trace::done("new file systems");
    let Ok((Order::Join, _)) = orders.recv() else {
        return Err(Stop::Unwanted);
    };
    cgroup::join(plan.cgroup).map_err(|error| error.to_string())?;
    wanted.apply(|kind| kind == CloneFlags::CLONE_NEWCGROUP)?;
    trace::done("cgroup joined");
    let Ok((Order::Create { modules }, fds)) = orders.recv() else {
        return Err(Stop::Unwanted);
    };
    trace::done("init: asked");
    let asked = Asked::new(modules, fds).map_err(|error| error.to_string())?;
    let (Streams { stdio, library }, artifact) = asked.apart();
    for (fd, standard) in stdio.iter().zip(0..) {
        dup2(fd.as_raw_fd(), standard).map_err(|error| said("standard streams", &error))?;
    }
    drop(stdio);
    rootfs::enter(plan, new)?;
    confine(plan)?;
    trace::done("confined");
    Ok((library, artifact))
}

fn set_oom_score(process: &Process) -> Step {
    if let Some(score) = process.oom_score_adj() {
        let file = "/proc/self/oom_score_adj";
        std::fs::write(file, score.to_string())
            .map_err(|error| said("process.oomScoreAdj", &error))?;
    }
    // What it holds of the host is nobody's in the namespaces it enters.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| said("the process", &error))
}

fn set_names(plan: &Plan<'_>) -> Step {
    let syscall = create_syscall();
    if let Some(name) = plan.spec.hostname() {
        let set = syscall.set_hostname(name);
        set.map_err(|error| said("hostname", &error))?;
    }
    if let Some(name) = plan.spec.domainname() {
        let set = syscall.set_domainname(name);
        set.map_err(|error| said("domainname", &error))?;
    }
    Ok(())
}
