//! The README's configuration of containerd, which is what nodes of tests run with,
//! and the runtime class that goes with it.

use std::fs;

use crate::paths;
use serde::Deserialize;

/// What is of interest in deploy/runtime-class.yaml.
#[derive(Debug, Deserialize)]
struct RuntimeClass {
    handler: String,
}

/// The handler of pods that ask for the runtime class.
pub fn handler() -> String {
    let path = paths::workspace().join("deploy/runtime-class.yaml");
    let text = fs::read_to_string(&path).expect("deploy/runtime-class.yaml");
    let class: RuntimeClass = serde_norway::from_str(&text).expect("a RuntimeClass");
    class.handler
}

/// The block for containerd of this major version, as it is printed.
pub fn configuration(readme: &str, major: u32) -> String {
    let version = if major >= 2 { 3 } else { 2 };
    let mark = format!("<!-- run by test/tests/cri, version {version} -->\n```toml\n");
    let block = readme
        .split_once(&mark)
        .and_then(|(_, rest)| rest.split_once("```\n"));
    block.expect("a marked block of README.md").0.into()
}
