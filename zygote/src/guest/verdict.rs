use std::fs::File;
use std::io::{Read, Write};

use ipc::Phase;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};
use crate::trace;

/// What the guest's side found out about its program, for the launcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    Module,
    Native,
    Refused {
        sentence: String,
    },
    /// What the program was to be run in could not be set up.
    Unready {
        reason: String,
    },
}

/// Where the guest's side reports.
#[derive(Debug)]
pub struct Reporter(pub File);

/// Where the launcher hears of it.
#[derive(Debug)]
pub struct Hearer(File);

impl Verdict {
    pub fn channel() -> Result<(Hearer, Reporter)> {
        let (reader, writer) = std::io::pipe().context("can't make a pipe")?;
        let hearer = Hearer(File::from(std::os::fd::OwnedFd::from(reader)));
        let reporter = Reporter(File::from(std::os::fd::OwnedFd::from(writer)));
        Ok((hearer, reporter))
    }
}

impl Reporter {
    pub fn send(&self, verdict: &Verdict) {
        // Without a verdict the launcher takes the program for a module, which
        // is the narrower of the two.
        if let Ok(bytes) = serde_json::to_vec(&(verdict, trace::take())) {
            let _ = (&self.0).write_all(&bytes);
        }
    }
}

impl Hearer {
    /// Waits until the guest's side has said all; `None` if that was nothing.
    pub fn receive(mut self) -> Option<Verdict> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).ok()?;
        let (verdict, phases): (Verdict, Vec<Phase>) = serde_json::from_slice(&bytes).ok()?;
        trace::add(phases);
        Some(verdict)
    }
}
