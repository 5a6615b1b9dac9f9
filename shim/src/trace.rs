use std::sync::{Mutex, PoisonError};

use ipc::{Phase, describe};

use crate::settings::Settings;
use crate::spans::{Spans, TraceContext};

/// Notes when the steps of a container's life are done, and says how long they
/// took, in the log or to a collector of spans, if the node's configuration
/// asks for it.
#[derive(Debug)]
pub struct Trace {
    container: String,
    is_logged: bool,
    spans: Option<Spans>,
    phases: Option<Mutex<Vec<Phase>>>,
}

impl Trace {
    /// `context`: that of who has asked for the container.
    pub fn new(
        container: &str,
        settings: &Settings,
        context: Option<TraceContext>,
        begin: Phase,
    ) -> Self {
        let endpoint = settings.otlp.as_ref();
        let spans = endpoint.and_then(|endpoint| Spans::new(endpoint, container, context));
        let is_wanted = settings.trace || spans.is_some();
        Self {
            container: container.to_owned(),
            is_logged: settings.trace,
            spans,
            phases: is_wanted.then(|| Mutex::new(vec![begin])),
        }
    }

    pub fn done(&self, what: &str) {
        self.add(&[Phase::done(what)]);
    }

    /// Adds the steps of other processes; those before the first step here are
    /// not of this request.
    pub fn add(&self, others: &[Phase]) {
        if let Some(phases) = &self.phases {
            let mut phases = phases.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = phases.first().map_or(0, |phase| phase.at);
            phases.extend(others.iter().filter(|phase| phase.at > begin).cloned());
            phases.sort_by_key(|phase| phase.at);
        }
    }

    /// Tells all steps since the last call.
    pub fn tell(&self, of: &str) {
        let Some(phases) = &self.phases else { return };
        let mut phases = phases.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_logged {
            log::info!(container = self.container; "trace of {of} (µs): {}", describe(&phases));
        }
        if let Some(spans) = &self.spans {
            spans.send(of, &phases);
        }
        // The last of these is the beginning of the next.
        let keep = phases.len().saturating_sub(1);
        phases.drain(..keep);
    }
}
