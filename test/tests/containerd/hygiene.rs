//! Environments: the guest's changes nothing outside, the host's is not inside.

use std::fs;

use shim_test::case::Case;
use shim_test::containerd::HOST_ENVIRONMENT;
use shim_test::processes;

use crate::errors::expect_refusal_of;

crate::tests! {
    any: ;
    wasm: environment_of_the_guest_stays_inside, environment_of_the_host_stays_outside
}

/// What would change a program that is written in Rust, linked with glibc, or
/// uses WasmEdge.
const MEANT_FOR_US: [&str; 7] = [
    "GLIBC_TUNABLES=glibc.malloc.check=3",
    "LD_DEBUG=all",
    "LD_LIBRARY_PATH=/bin",
    "LD_PRELOAD=/bin/native",
    "RUST_BACKTRACE=full",
    "RUST_LOG=trace",
    "WASMEDGE_PLUGIN_PATH=/bin",
];

fn flags() -> impl Iterator<Item = &'static str> {
    MEANT_FOR_US.into_iter().flat_map(|entry| ["--env", entry])
}

/// The guest sees all of it, and nobody else: not in an environment, and not by
/// a word more than without.
fn environment_of_the_guest_stays_inside(case: &Case) {
    let output = case.run("a").flags(flags()).guest(["env"]).output();
    let seen = output.success();
    for entry in MEANT_FOR_US {
        assert!(seen.lines().any(|line| line == entry), "{entry}:\n{seen}");
    }
    assert_eq!(output.stderr_text(), "");
    let run = case.run("a").flags(flags()).program("/no/such", []);
    expect_refusal_of(case, run, &["no such file"]);
    let mut live = case.run("b").flags(flags()).guest(["sleep"]).start();
    live.expect_line("ready");
    let environments = environments(case);
    case.containerd.ctr.kill(&live.id, "SIGKILL").expect_code(0);
    let output = live.finish(shim_test::ctr::LIMIT);
    assert_eq!(output.stderr_text(), "", "{}", output.describe());
    for (process, environment) in environments {
        for entry in MEANT_FOR_US {
            assert!(!environment.contains(entry), "{entry} in {process}");
        }
    }
}

/// Of the shim too: it was started with it, and has dropped it.
fn environment_of_the_host_stays_outside(case: &Case) {
    let mut live = case.run("a").guest(["sleep"]).start();
    live.expect_line("ready");
    let environments = environments(case);
    case.containerd.ctr.kill(&live.id, "SIGKILL").expect_code(0);
    live.finish(shim_test::ctr::LIMIT).expect_code(137);
    for (process, environment) in environments {
        for (name, value) in HOST_ENVIRONMENT {
            let entry = format!("{name}={value}");
            assert!(!environment.contains(&entry), "{entry} in {process}");
        }
    }
}

/// The shims, the zygotes and the guests, and what is in their environments.
fn environments(case: &Case) -> Vec<(String, String)> {
    let shims = processes::shims(case.containerd.namespace());
    let ours = ["wasm-zygote", "guest"];
    let others = processes::all()
        .into_iter()
        .filter(|process| processes::name(process.pid).is_some_and(|name| ours.contains(&&*name)));
    let found: Vec<_> = shims
        .into_iter()
        .chain(others)
        .filter_map(|process| {
            let environment = fs::read(processes::proc(process.pid).join("environ")).ok()?;
            let environment = String::from_utf8_lossy(&environment).into_owned();
            Some((process.command_line, environment))
        })
        .collect();
    assert!(found.len() >= 3, "a shim, a zygote and a guest: {found:?}");
    found
}
