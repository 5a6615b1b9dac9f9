//! The commands of README's section on Kubernetes, as it prints them.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use shim_test::{command, paths};

use crate::harness::Case;

shim_test::tests! {
    any: ;
    wasm: readme_commands
}

/// Marks the block that this test runs, whole.
const MARK: &str = "<!-- run by test/tests/kubernetes/commands.rs -->\n```sh\n";

fn readme_commands(case: &Case) {
    let text = fs::read_to_string(paths::workspace().join("README.md")).expect("README.md");
    let block = text
        .split_once(MARK)
        .and_then(|(_, rest)| rest.split_once("```\n"));
    let (block, _) = block.expect("a marked block in README.md");
    let mut bash = case.kubectl().shell();
    let bin = paths::shim_tree().join("bin");
    let path = format!("{}:{}", case.cluster.path(), bin.display());
    bash.args(["-euo", "pipefail", "-c", block])
        .current_dir(paths::workspace())
        .env("PATH", path)
        .env("KUBECONFIG", kubeconfig(case))
        .env("CONTAINERD_ADDRESS", case.cluster.socket());
    let output = command::output(bash, shim_test::ctr::LIMIT * 3).success();
    assert!(output.contains("\nhello from the guest\n"), "{output}");
    assert!(
        output.ends_with("job.batch \"hello\" deleted\n"),
        "{output}"
    );
}

/// The cluster's, with the test's namespace in place of the default one.
fn kubeconfig(case: &Case) -> PathBuf {
    let given = &case.cluster.control_plane.credentials.kubeconfig;
    let text = fs::read(given).expect("the kubeconfig");
    let mut config: Value = serde_json::from_slice(&text).expect("JSON");
    config["contexts"][0]["context"]["namespace"] = case.namespace().into();
    let file = case.folder("home").join("kubeconfig");
    fs::write(&file, config.to_string()).expect("a kubeconfig");
    file
}
