use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use ipc::{Channel, FromLauncher, Launch};
use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::syscall::syscall::SyscallType;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use oci::{Bundle, Workload};
use rustix::fs::FlockOperation;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Streams, explain, hide, keyring, mounts};
use crate::error::{Context, Error, Result};
use crate::guest::{Guest, Verdict};

/// A container whose init process waits to be started.
pub struct Created {
    container: Container,
    pid: i32,
    pidfd: OwnedFd,
    /// Held for as long as the launcher lives.
    _lock: File,
}

impl Created {
    pub fn create(launch: &Launch, streams: Streams, connection: &Channel) -> Result<Self> {
        let bundle = Bundle::load(&launch.bundle)?;
        let workload = Workload::from_spec(&bundle.spec)?;
        check_apparmor(&workload)?;
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
        let limit = workload.memory_limit;
        let (verdict, reporter) = Verdict::channel()?;
        let guest = Guest::new(workload, reporter, connection, streams.library)?;
        let built = build(launch, streams.stdio, guest);
        // The guest's side says in one sentence what is wrong with a program;
        // libcontainer would wrap it into layers of other errors.
        let verdict = match verdict.receive() {
            Some(Verdict::Refused { sentence }) => return Err(Error::Guest(sentence)),
            verdict => verdict,
        };
        let container = match built {
            Ok(container) => container,
            Err(error) => return Err(explained(error, &bundle, limit)),
        };
        let pid = container.pid().map_or(0, nix::unistd::Pid::as_raw);
        let pidfd = Pid::from_raw(pid)
            .ok_or(rustix::io::Errno::SRCH)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
            .context("can't get a pidfd of the container's process")?;
        let created = Self {
            container,
            pid,
            pidfd,
            _lock: lock,
        };
        match created.prepare_for(verdict.as_ref(), &bundle) {
            Ok(()) => Ok(created),
            Err(error) => {
                created.discard();
                Err(error)
            }
        }
    }

    /// Only a program that is known to be native keeps the kernel's views.
    fn prepare_for(&self, verdict: Option<&Verdict>, bundle: &Bundle) -> Result<()> {
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
        hide::prepare_for_wasm(bundle, self.pid, &self.pidfd)
    }

    /// Tells the shim of the container's process.
    pub fn announce(&self, connection: &Channel) -> Result<()> {
        let created = FromLauncher::Created { pid: self.pid };
        Ok(connection.send(&created, &[self.pidfd.as_fd()])?)
    }

    /// Lets the process run, and runs the poststart hooks; one that fails ends
    /// the process (OCI runtime spec, "Lifecycle", step 10).
    pub fn start(&mut self) -> Result<()> {
        let started = self.container.start();
        if started.is_err() {
            let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        }
        Ok(started?)
    }

    /// Undoes all that `create` did, as far as it can be undone: nobody is left
    /// who could be told of a failure.
    pub fn discard(mut self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(self.pid), None);
        let _ = self.container.delete(true);
    }
}

/// libcontainer does not say which mount failed and why, nor that the kernel
/// ended the process for want of memory before it could say anything.
fn explained(error: LibcontainerError, bundle: &Bundle, limit: Option<u64>) -> Error {
    if let Some(sentence) = mounts::explain(bundle) {
        return Error::Guest(sentence);
    }
    let error = Error::from(error);
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

/// Runs the poststop hooks of a stopped container and removes what is left of it.
pub fn delete(launch: &Launch) -> Result<()> {
    let mut container = Container::load(launch.state.join(&launch.id))?;
    Ok(container.delete(true)?)
}

fn build(
    launch: &Launch,
    [stdin, stdout, stderr]: [OwnedFd; 3],
    guest: Guest,
) -> std::result::Result<Container, LibcontainerError> {
    ContainerBuilder::new(launch.id.clone(), SyscallType::default())
        .with_root_path(&launch.state)?
        .with_executor(guest)
        .with_stdin(stdin)
        .with_stdout(stdout)
        .with_stderr(stderr)
        .as_init(&launch.bundle)
        .with_systemd(launch.systemd_cgroup)
        .with_no_pivot(launch.no_pivot_root)
        // A terminal comes as the three streams.
        .with_detach(false)
        .build()
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

/// libcontainer would fail too, but without a word of AppArmor.
fn check_apparmor(workload: &Workload) -> Result<()> {
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    match &workload.apparmor_profile {
        Some(profile) if !enabled.is_ok_and(|text| text.starts_with('Y')) => {
            Err(Error::Guest(format!(
                "the AppArmor profile {profile:?} (process.apparmorProfile) can't be applied: \
                 this kernel has no AppArmor, or it is off"
            )))
        }
        _ => Ok(()),
    }
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
