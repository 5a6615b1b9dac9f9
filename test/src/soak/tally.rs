use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// What was done, how often, and what failed for no reason.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<BTreeMap<&'static str, u64>>,
    failures: Mutex<Vec<String>>,
}

impl Tally {
    pub fn count(&self, what: &'static str) {
        let mut counts = self.counts.lock().expect("no holder panics");
        *counts.entry(what).or_default() += 1;
    }

    pub fn fail(&self, what: String) {
        eprintln!("soak: no fault explains this: {what}");
        self.failures.lock().expect("no holder panics").push(what);
    }

    pub fn print(&self, took: Duration) {
        println!("\n| in {} s | |\n|---|---|", took.as_secs());
        for (what, count) in self.counts.lock().expect("no holder panics").iter() {
            println!("| {what} | {count} |");
        }
    }

    /// Says how many failures no fault explains.
    pub fn print_failures(&self) -> usize {
        let failures = self.failures.lock().expect("no holder panics");
        println!("failures that no fault explains: {}", failures.len());
        failures.len()
    }
}
