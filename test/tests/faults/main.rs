//! Breaks what a container rests on, in each way, under every containerd at hand.
//!
//! `cargo test -p shim-test --test faults -- [FILTER]`; each test is named
//! `CONTAINERD_VERSION::test`. With FAULT_ROUNDS=20 each comes 20 times. With
//! `TEST_RUNTIME=io.containerd.runc.v2` those that hold for any runtime run
//! against runc, to check the tests themselves.

mod bundles;
mod clock;
mod descriptors;
mod disk;
mod hold;
mod killed;
mod parts_gone;
mod pids;
mod prepared;
mod restart;
mod start_twice;
mod streams;
mod ttrpc;

use libtest_mimic::Arguments;
use shim_test::case::Case;
use shim_test::containerd::Containerd;
use shim_test::suite::{self, Test};
use std::env;
// For `crate::tests!`.
use shim_test::tests;
use shim_test::{sandbox, versions};

/// Slow ones first.
const SUITES: &[&[Test<Case>]] = &[
    descriptors::TESTS,
    restart::TESTS,
    ttrpc::TESTS,
    killed::TESTS,
    streams::TESTS,
    disk::TESTS,
    parts_gone::TESTS,
    pids::TESTS,
    prepared::TESTS,
    start_twice::TESTS,
    clock::TESTS,
];

fn main() {
    let mut arguments = Arguments::from_args();
    if !arguments.list {
        sandbox::enter(sandbox::Network::Host);
    }
    arguments.test_threads.get_or_insert(4);
    let rounds = match env::var("FAULT_ROUNDS").map(|text| text.parse()) {
        Ok(Ok(rounds)) => rounds,
        Ok(Err(_)) => panic!("FAULT_ROUNDS is not a number"),
        Err(_) => 1,
    };
    let tests = || {
        (1..=rounds).flat_map(|round| {
            let all = SUITES.iter().copied().flatten();
            all.map(move |test| (test, round))
        })
    };
    suite::run::<Containerd, _>(versions::all(), tests, Vec::new(), &arguments)
}
