//! The tests of the shim under Kubernetes' Container Runtime Interface, on every
//! containerd at hand.
//!
//! `cargo test -p shim-test --test cri -- [FILTER]`; each test is named
//! `CONTAINERD_VERSION::test`. With `TEST_RUNTIME=io.containerd.runc.v2` those that
//! hold for any runtime run against runc, to check the tests themselves.

mod annotations;
mod data;
mod exec;
mod harness;
mod life;
mod logs;
mod pods;
mod resources;
mod security;
mod stats;
mod streams;

use libtest_mimic::Arguments;
use shim_test::suite::{self, Test};
use shim_test::{sandbox, versions};

use crate::harness::{Case, Server};

/// Slow ones first, so that the two threads end at about the same time.
const SUITES: &[&[Test<Case>]] = &[
    life::TESTS,
    resources::TESTS,
    stats::TESTS,
    exec::TESTS,
    streams::TESTS,
    logs::TESTS,
    pods::TESTS,
    annotations::TESTS,
    security::TESTS,
    data::TESTS,
];

fn main() {
    let mut arguments = Arguments::from_args();
    if !arguments.list {
        // Pods have a network of their own.
        sandbox::enter(sandbox::Network::Own);
    }
    arguments.test_threads.get_or_insert(2);
    let tests = || suite::once(SUITES);
    suite::run::<Server, _>(versions::all(), tests, Vec::new(), &arguments)
}
