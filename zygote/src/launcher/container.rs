use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use ipc::{CgroupFolder, Channel, FromLauncher, Launch, ToLauncher};
use libcontainer::container::Container;
use oci::{Bundle, Workload};
use rustix::process::{Signal, pidfd_send_signal};

use super::asked::{Asked, Streams};
use super::direct::{Ahead, Begun, Direct, Plan, is_module};
use super::groundwork::Groundwork;
use super::{Kit, explain, full, hide, mounts, oom_score, pidfd, rewritten};
use crate::error::{Error, Result};
use crate::guest::{Guest, Verdict};
use crate::trace;

/// A container whose init process waits to be started.
pub struct Created {
    made: Made,
    /// Held for as long as the launcher lives.
    _lock: File,
}

/// The container by who has made it.
enum Made {
    Direct(Direct),
    Full {
        container: Box<Container>,
        pid: i32,
        pidfd: OwnedFd,
    },
}

impl Created {
    /// Prepares a container, and makes it when that is asked for.
    pub fn create(
        launch: &Launch,
        cgroup: &[CgroupFolder],
        connection: &Channel,
        kit: Kit<'_>,
    ) -> Result<Self> {
        let Groundwork {
            bundle,
            workload,
            lock,
        } = match Groundwork::lay(launch, connection) {
            Ok(groundwork) => groundwork,
            Err(error) => return Err(await_create(connection).err().unwrap_or(error)),
        };
        let Kit { empty, ahead } = kit;
        let plan = empty.and_then(|empty| Plan::of(&bundle, launch, cgroup, empty));
        trace::done("plan");
        let mut way = Way {
            plan: plan.as_ref(),
            launch,
            cgroup,
            ahead,
        };
        // What its program is can't be seen yet, but most are modules.
        let early = (!bundle.is_sandbox()).then(|| way.begin()).flatten();
        let asked = match await_create(connection) {
            Ok(asked) => asked,
            Err(error) => {
                if let Some(begun) = early {
                    begun.map(Begun::end).unwrap_or_default();
                    remove(cgroup);
                }
                return Err(error);
            }
        };
        let is_module = !asked.modules.is_empty() || is_module(&bundle, &workload);
        let begun = way.go_on(early, is_module);
        let limit = workload.memory_limit;
        let made = match begun.map(|begun| make_directly(&bundle, begun?, &asked)) {
            Some(Ok(Some(direct))) => Ok(Made::Direct(direct)),
            Some(Ok(None)) | None => make_fully(launch, &bundle, workload, asked, connection),
            Some(Err(error)) => Err(error),
        };
        Ok(Self {
            made: made.map_err(|error| explained(error, &bundle, limit))?,
            _lock: lock,
        })
    }

    pub fn pid(&self) -> i32 {
        match &self.made {
            Made::Direct(direct) => direct.pid(),
            Made::Full { pid, .. } => *pid,
        }
    }

    /// Whether the shim can do what is left to do.
    pub fn needs_no_launcher(&self) -> bool {
        matches!(self.made, Made::Direct(_))
    }

    /// Tells the shim of the container's process.
    pub fn announce(&self, connection: &Channel) -> Result<()> {
        let created = FromLauncher::Created {
            pid: self.pid(),
            phases: trace::take(),
        };
        let fds = match &self.made {
            Made::Direct(direct) => vec![direct.pidfd().as_fd(), direct.start.as_fd()],
            Made::Full { pidfd, .. } => vec![pidfd.as_fd()],
        };
        Ok(connection.send(&created, &fds)?)
    }

    /// Lets the process run, and runs the poststart hooks; one that fails ends
    /// the process (OCI runtime spec, "Lifecycle", step 10).
    pub fn start(&mut self) -> Result<()> {
        let Made::Full {
            container, pidfd, ..
        } = &mut self.made
        else {
            return Ok(());
        };
        let started = container.start();
        if started.is_err() {
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
        Ok(started?)
    }

    /// Undoes all that `create` did, as far as it can be undone: nobody is left
    /// who could be told of a failure.
    pub fn discard(self, cgroup: &[CgroupFolder]) {
        match self.made {
            Made::Direct(direct) => {
                direct.end();
                remove(cgroup);
            }
            Made::Full {
                container,
                pid,
                pidfd,
            } => discard_full(*container, pid, &pidfd),
        }
    }
}

/// What a container is made directly by, if it can be.
struct Way<'a> {
    plan: Option<&'a Plan<'a>>,
    launch: &'a Launch,
    cgroup: &'a [CgroupFolder],
    /// Until it is used.
    ahead: Option<Ahead>,
}

impl Way<'_> {
    fn begin(&mut self) -> Option<Result<Begun>> {
        let plan = self.plan?;
        let ahead = match self.ahead.take() {
            Some(ahead) => Ok(ahead),
            None => Ahead::fork(plan.empty, false),
        };
        Some(ahead.and_then(|ahead| Begun::new(ahead, plan, self.launch, self.cgroup)))
    }

    /// The same, when it is known what the program is and what was begun `early`.
    fn go_on(mut self, early: Option<Result<Begun>>, is_module: bool) -> Option<Result<Begun>> {
        match early {
            Some(Ok(begun)) if is_module && begun.is_alive() => return Some(Ok(begun)),
            // Its process was killed, or is of no use.
            Some(Ok(begun)) => begun.end(),
            Some(Err(error)) if is_module => return Some(Err(error)),
            _ => {}
        }
        let begun = is_module.then(|| self.begin()).flatten();
        if let Some(unused) = self.ahead {
            unused.process.end();
        }
        begun
    }
}

/// Waits until the container is asked for that was prepared; an error if it
/// never will be.
fn await_create(connection: &Channel) -> Result<Asked> {
    let (request, fds) = connection.recv::<ToLauncher>()?;
    let ToLauncher::Create { modules } = request else {
        return Err(Error::OutOfOrder("something else than a create"));
    };
    trace::done("asked");
    Asked::new(modules, fds)
}

/// What a cgroup has processes in stays.
fn remove(cgroup: &[CgroupFolder]) {
    for folder in cgroup {
        let _ = std::fs::remove_dir(&folder.path);
    }
}

fn make_directly(bundle: &Bundle, begun: Begun, asked: &Asked) -> Result<Option<Direct>> {
    let Some(direct) = begun.finish(asked)? else {
        return Ok(None);
    };
    // Its own /proc, and what a mount of the user's may have brought along.
    match hide::enter_and_take_out(bundle, direct.pid(), direct.pidfd()) {
        Ok(()) => {
            trace::done("views out");
            Ok(Some(direct))
        }
        Err(error) => {
            direct.end();
            Err(error)
        }
    }
}

fn make_fully(
    launch: &Launch,
    bundle: &Bundle,
    workload: Workload,
    asked: Asked,
    connection: &Channel,
) -> Result<Made> {
    let (verdict, reporter) = Verdict::channel()?;
    let (Streams { stdio, library }, artifact) = asked.apart();
    let guest = Guest::new(workload, reporter)?
        .without(connection)
        .asking(library)
        .made_of(artifact);
    let source = rewritten::bundle(launch, bundle)?;
    let built = full::create(launch, &source, stdio, guest);
    // The guest's side says in one sentence what is wrong with a program;
    // libcontainer would wrap it into layers of other errors.
    let verdict = match verdict.receive() {
        Some(Verdict::Refused { sentence }) => return Err(Error::Guest(sentence)),
        verdict => verdict,
    };
    let container = built?;
    let pid = container.pid().map_or(0, nix::unistd::Pid::as_raw);
    let pidfd = pidfd::of(pid, "can't get a pidfd of the container's process")?;
    match prepare_for(verdict.as_ref(), bundle, pid, &pidfd) {
        Ok(()) => Ok(Made::Full {
            container: Box::new(container),
            pid,
            pidfd,
        }),
        Err(error) => {
            discard_full(container, pid, &pidfd);
            Err(error)
        }
    }
}

/// Only a program that is known to be native keeps the kernel's views.
fn prepare_for(
    verdict: Option<&Verdict>,
    bundle: &Bundle,
    pid: i32,
    pidfd: &OwnedFd,
) -> Result<()> {
    if verdict == Some(&Verdict::Native) {
        return Ok(());
    }
    if !bundle.has_own_mounts() {
        return Err(Error::Guest(
            "a WebAssembly container needs a mount namespace of its own; \
             add one to linux.namespaces in config.json"
                .into(),
        ));
    }
    hide::prepare_for_wasm(bundle, pid, pidfd)
}

fn discard_full(mut container: Container, pid: i32, pidfd: &OwnedFd) {
    let _ = pidfd_send_signal(pidfd, Signal::KILL);
    let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None);
    let _ = container.delete(true);
}

/// Neither libcontainer nor the kernel says which mount failed and why, nor that
/// the process was ended for want of memory before it could say anything.
fn explained(error: Error, bundle: &Bundle, limit: Option<u64>) -> Error {
    if !matches!(error, Error::Libcontainer(_) | Error::SetUp { .. }) {
        return error;
    }
    if let Some(sentence) = mounts::explain(bundle).or_else(|| oom_score::explain(bundle)) {
        return Error::Guest(sentence);
    }
    let error = explain::explain(&error.to_string(), bundle).map_or(error, Error::Guest);
    match limit.filter(|limit| *limit < oci::RUNTIME_MEMORY) {
        None => error,
        Some(limit) => Error::Guest(format!(
            "{error}; its memory limit of {} KiB (linux.resources.memory.limit) may be too small: \
             a WebAssembly program needs {} MiB at least",
            limit >> 10,
            oci::RUNTIME_MEMORY >> 20
        )),
    }
}
