//! The guest: what runs as the container's init process, inside all that
//! confines it. Everything hostile (the program file, its code) is met here.

mod capabilities;
mod file;
mod job;
mod link;
mod module;
mod native;
mod preopens;
mod program;
mod signals;
mod verdict;
mod wasi;

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;

use ipc::Channel;
use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use oci::Workload;

use crate::fds;
pub use job::warm_up;
pub use module::version as wasmedge_version;
use program::Program;
use verdict::Reporter;
pub use verdict::Verdict;

/// What libcontainer calls in the container's init process: `validate` at the
/// end of Create, confined, and `exec` at Start.
#[derive(Clone)]
pub struct Guest(Rc<Inner>);

struct Inner {
    workload: Workload,
    reporter: Reporter,
    /// The launcher's connection to the shim, which is not the guest's to hold.
    connection: RawFd,
    program: RefCell<Option<Program>>,
    home: RefCell<Option<String>>,
}

impl Guest {
    pub fn new(workload: Workload, reporter: Reporter, connection: &Channel) -> Self {
        Self(Rc::new(Inner {
            workload,
            reporter,
            connection: connection.as_raw_fd(),
            program: RefCell::new(None),
            home: RefCell::new(None),
        }))
    }
}

impl Executor for Guest {
    fn validate(&self, _: &oci::spec::Spec) -> Result<(), ExecutorValidationError> {
        let guest = &self.0;
        fds::close(guest.connection);
        // From here on the process can be ended as its user expects, though
        // its program has not begun.
        signals::end_on_termination();
        let loaded = capabilities::as_after_exec()
            .map_err(|error| format!("capabilities can't be dropped: {error}"))
            .and_then(|()| Program::load(&guest.workload));
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

    fn setup_envs(&self, envs: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        // The program gets its environment as an argument, in the order of
        // config.json; of libcontainer's additions only HOME is taken.
        self.0.home.replace(envs.get("HOME").cloned());
        Ok(())
    }

    fn exec(&self, _: &oci::spec::Spec) -> Result<(), ExecutorError> {
        let guest = &self.0;
        match guest.program.take() {
            Some(Program::Module(job)) => wasi::run(*job, &guest.workload),
            Some(Program::Native(path)) => native::exec(&path, &guest.workload, guest.home.take()),
            None => Err(ExecutorError::Other("no program was validated".into())),
        }
    }
}
