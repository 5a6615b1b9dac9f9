use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use ipc::{CgroupFolder, Channel, FromLauncher, Launch};
use libcontainer::container::Container;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use oci::{Bundle, Workload};
use rustix::fs::FlockOperation;
use rustix::process::{Signal, pidfd_send_signal};

use super::direct::{Direct, Plan};
use super::{
    Streams, cgroup_mount, explain, full, hide, keyring, mounts, oom_score, pidfd, security_modules,
};
use crate::error::{Context, Error, Result};
use crate::guest::{Artifact, Guest, Verdict};
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
    /// `artifact`: the program, if it is not in the container.
    pub fn create(
        launch: &Launch,
        cgroup: &[CgroupFolder],
        streams: Streams,
        mut artifact: Option<Artifact>,
        connection: &Channel,
    ) -> Result<Self> {
        let bundle = Bundle::load(&launch.bundle)?;
        let workload = Workload::from_spec(&bundle.spec)?;
        trace::done("config.json");
        security_modules::check(&bundle, &workload)?;
        private_folder(&launch.state)?;
        let lock = lock(launch)?;
        if is_alone(connection) {
            // The shim died before this had the lock, and who cleans up after
            // it may have been here already.
            let _ = std::fs::remove_dir_all(&launch.state);
            return Err(ipc::Error::Closed.into());
        }
        if !launch.no_new_keyring {
            keyring::join_own(&launch.id)?;
        }
        trace::done("lock and keyring");
        let made = match Plan::of(&bundle, &workload, launch, cgroup, artifact.is_some()) {
            Some(plan) => {
                let artifact = artifact.take();
                make_directly(&plan, &workload, &streams, artifact, connection)
            }
            None => Ok(None),
        };
        let limit = workload.memory_limit;
        let made = match made {
            Ok(Some(direct)) => Ok(Made::Direct(direct)),
            Ok(None) => make_fully(launch, &bundle, workload, streams, artifact, connection),
            Err(error) => Err(error),
        };
        Ok(Self {
            made: made.map_err(|error| explained(error, &bundle, limit))?,
            _lock: lock,
        })
    }

    pub fn pid(&self) -> i32 {
        match &self.made {
            Made::Direct(direct) => direct.pid,
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
            Made::Direct(direct) => vec![direct.pidfd.as_fd(), direct.start.as_fd()],
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
                for folder in cgroup {
                    let _ = std::fs::remove_dir(&folder.path);
                }
            }
            Made::Full {
                container,
                pid,
                pidfd,
            } => discard_full(*container, pid, &pidfd),
        }
    }
}

fn make_directly(
    plan: &Plan<'_>,
    workload: &Workload,
    streams: &Streams,
    artifact: Option<Artifact>,
    connection: &Channel,
) -> Result<Option<Direct>> {
    let (verdict, reporter) = Verdict::channel()?;
    let library = streams.library.as_ref().map(OwnedFd::try_clone).transpose();
    let library = library.context("can't hand on the way to native code")?;
    let guest = Guest::new(workload.clone(), reporter, connection, library)?.made_of(artifact);
    let Some(direct) = Direct::create(plan, &streams.stdio, guest, verdict)? else {
        return Ok(None);
    };
    // Its own /proc, and what a mount of the user's may have brought along.
    match hide::enter_and_take_out(plan.bundle, direct.pid, &direct.pidfd) {
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
    streams: Streams,
    artifact: Option<Artifact>,
    connection: &Channel,
) -> Result<Made> {
    let (verdict, reporter) = Verdict::channel()?;
    let guest = Guest::new(workload, reporter, connection, streams.library)?.made_of(artifact);
    let source = cgroup_mount::bundle(launch, bundle)?;
    let built = full::create(launch, &source, streams.stdio, guest);
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

/// Tells who cleans up after a shim that died that this launcher still works on
/// its container, and which process it is. A lock of the process, which its
/// children do not inherit.
fn lock(launch: &Launch) -> Result<File> {
    let path = launch.lock_file();
    let mut file = File::create(&path).map_err(|source| Error::Write { path, source })?;
    rustix::fs::fcntl_lock(&file, FlockOperation::LockExclusive)
        .context("can't lock the container's state")?;
    write!(file, "{}", std::process::id()).context("can't write the launcher's pid")?;
    Ok(file)
}

/// Whether the shim has closed its end.
fn is_alone(connection: &Channel) -> bool {
    let mut fds = [PollFd::new(connection.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|closed| closed > 0)
}

/// Makes the folder, but not those above: a bundle that is gone stays so.
fn private_folder(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(|source| Error::Write {
            path: path.to_owned(),
            source,
        }),
    }
}
