//! The tests of the shim on every containerd at hand.
//!
//! `cargo test -p shim-test --test containerd -- [FILTER]`; each test is named
//! `CONTAINERD_VERSION::test`, those that need no containerd `once::test`. With `TEST_RUNTIME=io.containerd.runc.v2` those
//! that hold for any runtime run against runc, to check the tests themselves.

mod aot;
mod artifacts;
mod basic;
mod cache;
mod cleanup;
mod confinement;
mod control;
mod deploy;
mod errors;
mod exec;
mod figures;
mod hygiene;
mod imports;
mod install;
mod installer;
mod job;
mod limits;
mod load;
mod memory;
mod mounts;
mod native;
mod network;
mod open_files;
mod outputs;
mod own_cgroup;
mod pack;
mod pods;
mod programs;
mod readme;
mod restart;
mod security;
mod security_page;
mod service;
mod signals;
mod stdio;
mod suite;
mod user_namespaces;

use libtest_mimic::Arguments;
use shim_test::containerd::Containerd;
// For `crate::tests!`.
use shim_test::tests;
use shim_test::{sandbox, versions};

/// Slow ones first, so that the two threads end at about the same time.
const SUITES: &[&[suite::Test]] = &[
    programs::TESTS,
    readme::TESTS,
    load::TESTS,
    install::TESTS,
    installer::TESTS,
    basic::TESTS,
    stdio::TESTS,
    signals::TESTS,
    errors::TESTS,
    mounts::TESTS,
    user_namespaces::TESTS,
    open_files::TESTS,
    pack::TESTS,
    artifacts::TESTS,
    native::TESTS,
    pods::TESTS,
    service::TESTS,
    limits::TESTS,
    confinement::TESTS,
    exec::TESTS,
    control::TESTS,
    job::TESTS,
    imports::TESTS,
    outputs::TESTS,
    memory::TESTS,
    network::TESTS,
    hygiene::TESTS,
    security::TESTS,
    aot::TESTS,
    cache::TESTS,
    own_cgroup::TESTS,
    figures::TESTS,
];

fn main() {
    let mut arguments = Arguments::from_args();
    if !arguments.list {
        sandbox::enter(sandbox::Network::Host);
    }
    // What the tests measure is containerd's; more threads only disturb it.
    arguments.test_threads.get_or_insert(2);
    let tests = || {
        let last = cleanup::TESTS.iter().map(|test| (test, 1));
        shim_test::suite::once(SUITES).chain(last)
    };
    let others = [pack::ONCE, restart::ONCE, deploy::ONCE, security_page::ONCE];
    let others = others.into_iter().flat_map(suite::once).collect();
    shim_test::suite::run::<Containerd, _>(versions::all(), tests, others, &arguments)
}
