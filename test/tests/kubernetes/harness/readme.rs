//! Commands that README prints, run in a cluster as they are.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use shim_test::command::{self, Output};
use shim_test::paths;

use super::case::Case;
use super::kubectl;

/// The blocks of commands below a mark, in order.
pub fn blocks(mark: &str) -> Vec<String> {
    let text = fs::read_to_string(paths::workspace().join("README.md")).expect("README.md");
    let begin = format!("{mark}\n```sh\n");
    text.split(&begin)
        .skip(1)
        .map(|rest| rest.split("```\n").next().unwrap_or_default().to_owned())
        .collect()
}

/// Runs a block in the folder that README is in, with the test's namespace in place
/// of the default one.
pub fn run(case: &Case, block: &str) -> Output {
    let mut bash = case.kubectl().shell();
    let bin = paths::shim_tree().join("bin");
    let path = format!("{}:{}", case.cluster.path(), bin.display());
    bash.args(["-euo", "pipefail", "-c", block])
        .current_dir(paths::workspace())
        .env("PATH", path)
        .env("KUBECONFIG", kubeconfig(case))
        .env("CONTAINERD_ADDRESS", case.cluster.socket());
    command::output(bash, kubectl::LIMIT)
}

fn kubeconfig(case: &Case) -> PathBuf {
    let given = &case.cluster.control_plane.credentials.kubeconfig;
    let text = fs::read(given).expect("the kubeconfig");
    let mut config: Value = serde_json::from_slice(&text).expect("JSON");
    config["contexts"][0]["context"]["namespace"] = case.namespace().into();
    let file = case.folder("home").join("kubeconfig");
    fs::write(&file, config.to_string()).expect("a kubeconfig");
    file
}
