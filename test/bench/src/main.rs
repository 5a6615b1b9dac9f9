//! `make bench`: this shim beside runc and beside the shim of runwasi, in one
//! run on a private containerd. Runs alternate, as the machine's speed drifts;
//! what counts is the ratio. `BENCH=starts,latency` measures these alone.

mod client;
mod compute;
mod contender;
mod crowd;
mod density;
mod latency;
mod report;
mod sizes;
mod spawned;
mod starts;
mod throughput;

use std::env;
use std::process::ExitCode;

use contender::{OURS, RUNC, RUNWASI};
use report::Report;
use shim_test::containerd::{Containerd, Options};
use shim_test::{paths, sandbox, versions};

const ROUNDS: usize = 40;

fn main() -> ExitCode {
    sandbox::enter(sandbox::Network::Host);
    let wanted = env::var("BENCH").ok();
    let rounds = env::var("BENCH_ROUNDS").ok();
    let rounds = rounds.and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let wants = |part: &str| {
        let mut parts = wanted.as_deref().unwrap_or(part).split(',');
        parts.any(|one| one == part)
    };
    let version = versions::all().swap_remove(0);
    let folder = paths::workspace().join("target/bench");
    let options = Options {
        name: "bench".into(),
        shim_bin: folder.join("bin"),
        wrapper: Vec::new(),
        cri: None,
    };
    let containerd = Containerd::start(&version, &options);
    println!("containerd {}, {rounds} rounds, medians", version.name);
    let all = [RUNC, OURS, RUNWASI];
    let mut report = Report::default();
    if wants("starts") {
        starts::measure(&containerd, &all, rounds, &mut report);
    }
    if wants("latency") {
        latency::measure(&containerd, &all, rounds, &mut report);
    }
    if wants("spawned") {
        spawned::measure(&containerd, rounds, &mut report);
    }
    if wants("throughput") {
        // Without streams, as here, runwasi's never ends a Delete.
        throughput::measure(&containerd, &[RUNC, OURS], &mut report);
    }
    if wants("density") {
        density::measure(&containerd, &all, &mut report);
    }
    if wants("crowd") {
        for contender in [RUNC, OURS] {
            crowd::measure(&containerd, contender, rounds, &mut report);
        }
    }
    if wants("compute") {
        compute::measure(&containerd, &mut report);
    }
    if wants("sizes") {
        sizes::measure(&mut report);
    }
    report.write(&folder);
    println!("target/bench/figures.csv and figures.svg have these");
    ExitCode::SUCCESS
}
