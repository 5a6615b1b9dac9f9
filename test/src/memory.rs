//! What processes take of the machine's memory.

use std::fs;

use crate::processes::{self, Process};

/// The proportional set size of all of these, in bytes: pages that several
/// share count once (proc_pid_smaps(5), "Pss").
pub fn total(processes: &[Process]) -> u64 {
    processes.iter().map(|process| pss(process.pid)).sum()
}

fn pss(pid: u32) -> u64 {
    let rollup = fs::read_to_string(processes::proc(pid).join("smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}
