//! The tests of the shim under Kubernetes: its own programs, one node, each
//! containerd that kubelet works with.
//!
//! `make test-kubernetes`, or `cargo test -p shim-test --test kubernetes -- [FILTER]`
//! after `test/kubernetes/build.sh`; each test is named `CONTAINERD_VERSION::test`.
//! With `TEST_RUNTIME=io.containerd.runc.v2` those that hold for any runtime run
//! against runc, to check the tests themselves.

mod artifacts;
mod commands;
mod examples;
mod harness;
mod installer;
mod jobs;
mod life;
mod pods;
mod probes;
mod resources;
mod restarts;
mod scheduling;
mod services;
mod streams;

use std::process::exit;

use libtest_mimic::Arguments;
use shim_test::suite::{self, Test};
use shim_test::{sandbox, versions};

use crate::harness::{Case, Cluster};

/// Slow ones first, so that the threads end at about the same time.
const SUITES: &[&[Test<Case>]] = &[
    jobs::TESTS,
    life::TESTS,
    resources::TESTS,
    examples::TESTS,
    commands::TESTS,
    streams::TESTS,
    artifacts::TESTS,
    pods::TESTS,
    probes::TESTS,
    services::TESTS,
    scheduling::TESTS,
    restarts::TESTS,
    installer::TESTS,
];

/// What kubelet needs, in the first version that has it.
const OLDEST: [u32; 2] = [1, 7];

fn main() {
    let mut arguments = Arguments::from_args();
    if !arguments.list {
        sandbox::enter(sandbox::Network::Own);
        harness::prepare().unwrap_or_else(|error| {
            eprintln!("kubernetes: can't make a node of the sandbox: {error}");
            exit(1)
        });
    }
    // They wait more than they work.
    arguments.test_threads.get_or_insert(4);
    let versions = versions::all().into_iter().filter(|version| {
        let numbers: Vec<u32> = version.name.split('.').flat_map(str::parse).collect();
        numbers.as_slice() >= OLDEST.as_slice()
    });
    let tests = || suite::once(SUITES);
    suite::run::<Cluster, _>(versions, tests, Vec::new(), &arguments)
}
