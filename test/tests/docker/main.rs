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

use libtest_mimic::Arguments;
use shim_test::docker::{self, Case, Docker};
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
    let tests = || suite::once(SUITES);
    suite::run::<Docker, _>(docker::all(), tests, Vec::new(), &arguments)
}
