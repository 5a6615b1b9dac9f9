use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

    /// Something was broken on purpose.
    pub fn fault(&self, what: &'static str, whose: &str) {
        eprintln!("soak: {} {what}: {whose}", time_of_day());
        self.count(what);
    }

    pub fn fail(&self, what: String) {
        eprintln!("soak: {} no fault explains this: {what}", time_of_day());
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

/// UTC, as in containerd's log.
fn time_of_day() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let of_day = now.as_secs() % 86_400;
    let [hours, minutes, seconds] = [of_day / 3600, of_day / 60 % 60, of_day % 60];
    let millis = now.subsec_millis();
    format!("{hours:02}:{minutes:02}:{seconds:02}.{millis:03}")
}
