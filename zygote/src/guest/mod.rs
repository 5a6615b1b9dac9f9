//! The guest: what runs as the container's init process, inside all that
//! confines it. Everything hostile (the program file, its code) is met here.

mod artifact;
mod capabilities;
mod file;
mod host_proc;
mod job;
mod library;
mod link;
mod loader;
mod module;
mod native;
mod parent;
mod preopens;
mod program;
mod seccomp;
mod signals;
mod verdict;
mod wasi;

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use ipc::Channel;
use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use oci::spec::{LinuxSeccomp, Spec};
use oci::{Bundle, Workload};

use crate::error::{Context, Result};
use crate::fds;
pub use artifact::Artifact;
use host_proc::HostProc;
pub use job::warm_up;
use library::Library;
pub use library::key;
use loader::Loader;
pub use module::version as wasmedge_version;
use parent::Parent;
use program::Program;
pub use verdict::{Hearer, Reporter, Verdict};

/// What libcontainer calls in the container's init process: `validate` at the
/// end of Create, confined, and `exec` at Start.
#[derive(Clone)]
pub struct Guest(Rc<Inner>);

struct Inner {
    workload: Workload,
    proc: HostProc,
    library: Library,
    reporter: Reporter,
    /// The launcher's connection to the shim, which is not the guest's to hold.
    connection: Option<RawFd>,
    added: Option<Added>,
    /// The program, if it is not in the container; until it is loaded.
    artifact: RefCell<Option<Artifact>>,
    program: RefCell<Option<Program>>,
    home: RefCell<Option<String>>,
}

/// What is special of a process that is added to a running container.
struct Added {
    seccomp: Option<LinuxSeccomp>,
    shows_kernel: bool,
    launcher: Parent,
}

impl Inner {
    /// Confines this process as its program is to be, and finds that.
    fn prepare(&self, spec: &Spec) -> std::result::Result<Program, String> {
        if self.workload.terminal {
            rustix::process::ioctl_tiocsctty(std::io::stdin())
                .map_err(|error| format!("the terminal can't be taken: {error}"))?;
        }
        capabilities::confine(spec)
            .map_err(|error| format!("capabilities can't be dropped: {error}"))?;
        let loader = Loader::new(&self.library, &self.proc);
        if let Some(added) = &self.added {
            added.launcher.follow()?;
            if let Some(filter) = &added.seccomp {
                seccomp::apply(filter)?;
            }
        }
        let program = match self.artifact.take() {
            Some(artifact) => Program::of_artifact(&self.workload, artifact, &loader)?,
            None => Program::load(&self.workload, &loader)?,
        };
        match (&program, &self.added) {
            (Program::Module(_), Some(added)) if added.shows_kernel => {
                return Err(
                    "a WebAssembly module can't be added to a container of a native program: \
                     it would see the kernel's /proc; run it in a container of its own"
                        .into(),
                );
            }
            (Program::Module(_), _) => {}
            (Program::Native(_), added) => {
                self.proc.label_on_exec(&self.workload)?;
                // libcontainer does it for init.
                if added.is_some() {
                    self.proc.profile_on_exec(&self.workload)?;
                }
            }
        }
        Ok(program)
    }
}

impl Guest {
    /// To be called with the host's mounts in sight.
    pub fn new(workload: Workload, reporter: Reporter) -> Result<Self> {
        let proc = HostProc::open().context("can't open /proc")?;
        Ok(Self(Rc::new(Inner {
            proc,
            library: Library::new(None),
            workload,
            reporter,
            connection: None,
            added: None,
            artifact: RefCell::new(None),
            program: RefCell::new(None),
            home: RefCell::new(None),
        })))
    }

    /// For one that will be forked by a process with this connection.
    pub fn without(mut self, connection: &Channel) -> Self {
        if let Some(inner) = Rc::get_mut(&mut self.0) {
            inner.connection = Some(connection.as_raw_fd());
        }
        self
    }

    /// For one that may ask the shim for native code.
    pub fn asking(mut self, library: Option<OwnedFd>) -> Self {
        if let Some(inner) = Rc::get_mut(&mut self.0) {
            inner.library = Library::new(library);
        }
        self
    }

    /// For a container whose program came by itself.
    pub fn made_of(self, artifact: Option<Artifact>) -> Self {
        self.0.artifact.replace(artifact);
        self
    }

    /// Tells the launcher why there is nothing to run the program in.
    pub fn report_unready(&self, reason: String) {
        self.0.reporter.send(&Verdict::Unready { reason });
    }

    /// For a process that is added to a running container. `shows_kernel`: the
    /// container has /proc and the like.
    pub fn added_to(mut self, bundle: &Bundle, shows_kernel: bool) -> Result<Self> {
        let linux = bundle.spec.linux().as_ref();
        let seccomp = linux.and_then(|linux| linux.seccomp().clone());
        let launcher = Parent::this().context("can't get a pidfd of the launcher")?;
        if let Some(inner) = Rc::get_mut(&mut self.0) {
            inner.added = Some(Added {
                seccomp,
                shows_kernel,
                launcher,
            });
        }
        Ok(self)
    }
}

impl Executor for Guest {
    fn validate(&self, spec: &Spec) -> std::result::Result<(), ExecutorValidationError> {
        let guest = &self.0;
        if let Some(connection) = guest.connection {
            fds::close(connection);
        }
        // From here on the process can be ended as its user expects, though
        // its program has not begun.
        signals::end_on_termination();
        let loaded = guest.prepare(spec);
        guest.reporter.send(&match &loaded {
            Ok(Program::Module(_)) => Verdict::Module,
            Ok(Program::Native(_)) => Verdict::Native,
            Err(sentence) => Verdict::Refused {
                sentence: sentence.clone(),
            },
        });
        // The launcher reads up to the end.
        fds::close(guest.reporter.0.as_raw_fd());
        let program = loaded.map_err(ExecutorValidationError::ArgValidationError)?;
        guest.program.replace(Some(program));
        Ok(())
    }

    fn setup_envs(
        &self,
        envs: HashMap<String, String>,
    ) -> std::result::Result<(), ExecutorSetEnvsError> {
        // The program gets its environment as an argument, in the order of
        // config.json; of libcontainer's additions only HOME is taken.
        self.0.home.replace(envs.get("HOME").cloned());
        Ok(())
    }

    fn exec(&self, _: &Spec) -> std::result::Result<(), ExecutorError> {
        let guest = &self.0;
        if let Some(added) = &guest.added {
            // Before the descriptors are closed that the launcher waits for.
            added.launcher.leave();
        }
        match guest.program.take() {
            Some(Program::Module(job)) => wasi::run(*job, &guest.workload),
            Some(Program::Native(path)) => native::exec(&path, &guest.workload, guest.home.take()),
            None => Err(ExecutorError::Other("no program was validated".into())),
        }
    }
}
