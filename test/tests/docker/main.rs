//! The tests of the shim under every Docker Engine at hand.
//!
//! `cargo test -p shim-test --test docker -- [FILTER]`; each test is named
//! `DOCKER_VERSION::test`. With `TEST_RUNTIME=io.containerd.runc.v2` those that
//! hold for any runtime run against runc, to check the tests themselves.

mod build;
mod exec;
mod life;
mod network;
mod readme;
mod resources;
mod restart;
mod run;
mod terminal;

use std::process::exit;

use libtest_mimic::Arguments;
use shim_test::docker::{self, Case, Docker};
use shim_test::instance::Instance;
use shim_test::sandbox;
use shim_test::suite::{self, Test};

/// Slow ones first, so that the two threads end at about the same time.
const SUITES: &[&[Test<Case>]] = &[
    build::TESTS,
    readme::TESTS,
    life::TESTS,
    restart::TESTS,
    network::TESTS,
    run::TESTS,
    exec::TESTS,
    resources::TESTS,
    terminal::TESTS,
];

fn main() {
    let mut arguments = Arguments::from_args();
    if !arguments.list {
        // dockerd makes bridges and rules.
        sandbox::enter(sandbox::Network::Own);
    }
    arguments.test_threads.get_or_insert(2);
    let mut trials = Vec::new();
    let mut previous = None;
    for version in docker::all() {
        let instance = Instance::<Docker>::new(version, previous);
        let tests = SUITES.iter().copied().flatten();
        trials.extend(suite::trials(&instance, tests, &arguments));
        previous = Some(instance);
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(previous);
    exit(if conclusion.has_failed() { 101 } else { 0 });
}
