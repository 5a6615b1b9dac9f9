use std::sync::{Mutex, PoisonError};

use ipc::{Phase, describe};

/// Notes when the steps of a container's life are done, and logs how long they
/// took, if `trace = true` in the node's configuration.
#[derive(Debug)]
pub struct Trace {
    container: String,
    phases: Option<Mutex<Vec<Phase>>>,
}

impl Trace {
    pub fn new(container: &str, wanted: bool, begin: Phase) -> Self {
        Self {
            container: container.to_owned(),
            phases: wanted.then(|| Mutex::new(vec![begin])),
        }
    }

    pub fn done(&self, what: &str) {
        self.add(&[Phase::done(what)]);
    }

    /// Adds the steps of other processes.
    pub fn add(&self, others: &[Phase]) {
        if let Some(phases) = &self.phases {
            let mut phases = phases.lock().unwrap_or_else(PoisonError::into_inner);
            phases.extend_from_slice(others);
        }
    }

    /// Logs all steps since the last call.
    pub fn log(&self, of: &str) {
        let Some(phases) = &self.phases else { return };
        let mut phases = phases.lock().unwrap_or_else(PoisonError::into_inner);
        log::info!(container = self.container; "trace of {of} (µs): {}", describe(&phases));
        // The last of these is the beginning of the next.
        let keep = phases.len().saturating_sub(1);
        phases.drain(..keep);
    }
}
