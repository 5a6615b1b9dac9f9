//! The commands of the README, as it prints them.

use std::fs;

use serde_json::Value;
use shim_test::docker::{Case, LIMIT};
use shim_test::{command, paths};

shim_test::tests! {
    any:;
    wasm: readme
}

/// Marks a block of the README that this test reads, whole.
const MARK: &str = "<!-- run by test/tests/docker/readme.rs -->\n```";

fn readme(case: &Case) {
    let text = fs::read_to_string(paths::workspace().join("README.md")).expect("README.md");
    let blocks: Vec<_> = text
        .split(MARK)
        .skip(1)
        .filter_map(|rest| rest.split_once('\n')?.1.split("```").next())
        .collect();
    let [daemon, commands] = blocks[..] else {
        panic!("blocks of README.md that are marked: {blocks:?}");
    };
    same_settings(case, daemon);
    let mut bash = case.docker.command("bash");
    bash.args(["-euo", "pipefail", "-c", commands]);
    let output = command::output(bash, LIMIT).success();
    assert!(
        output.ends_with("[/app.wasm]\n[args]\n[one]\n[two words]\n"),
        "{output}"
    );
}

/// The README's daemon.json says what this dockerd was told, but for names.
fn same_settings(case: &Case, daemon: &str) {
    let said: Value = serde_json::from_str(daemon).expect("JSON in README.md");
    let told = fs::read(case.docker.folder().join("daemon.json")).expect("daemon.json");
    let told: Value = serde_json::from_slice(&told).expect("JSON");
    assert_eq!(said["features"], told["features"]);
    let keys = |settings: &Value| {
        let runtimes = settings["runtimes"].as_object().expect("runtimes");
        let keys = |runtime: &Value| {
            runtime
                .as_object()
                .map(|keys| keys.keys().cloned().collect())
        };
        runtimes.values().map(keys).collect::<Vec<Option<Vec<_>>>>()
    };
    assert_eq!(keys(&said), keys(&told));
}
