//! The containerds at hand.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use crate::paths;

/// One containerd with the programs that belong to it.
#[derive(Debug, Clone)]
pub struct Version {
    /// Such as `1.6.20`; names tests and state folders.
    pub name: String,
    /// Where `containerd`, `ctr`, `containerd-shim-runc-v2` and `runc` are.
    pub bin: PathBuf,
}

impl Version {
    /// The major version, which decides the format of the configuration.
    pub fn major(&self) -> u32 {
        self.name
            .split('.')
            .next()
            .and_then(|part| part.parse().ok())
            .unwrap_or(1)
    }
}

/// The containerds that `deploy/fetch-containerd.sh` listed, or the system's
/// own when there is no list. `CONTAINERD_LIST` names another list.
pub fn all() -> Vec<Version> {
    let list = paths::workspace().join("target/parts/containerd.list");
    let list = env::var_os("CONTAINERD_LIST").map_or(list, PathBuf::from);
    let Ok(text) = fs::read_to_string(&list) else {
        return vec![of_the_system()];
    };
    let versions: Vec<_> = text.lines().filter_map(parse).collect();
    assert!(
        !versions.is_empty(),
        "{} names no containerd",
        list.display()
    );
    versions
}

/// The newest containerd of the list.
pub fn newest() -> Version {
    let key = |version: &Version| -> Vec<u32> {
        version
            .name
            .split(['.', '~', '-'])
            .map_while(|part| part.parse().ok())
            .collect()
    };
    all()
        .into_iter()
        .max_by_key(key)
        .expect("the list is not empty")
}

/// A line is `VERSION BIN_DIR`, the folder possibly relative to the workspace.
fn parse(line: &str) -> Option<Version> {
    let (name, bin) = line.trim().split_once(char::is_whitespace)?;
    Some(Version {
        name: name.into(),
        bin: paths::workspace().join(bin.trim()),
    })
}

fn of_the_system() -> Version {
    let output = Command::new("containerd")
        .arg("--version")
        .output()
        .expect("containerd on PATH");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3
    let version = text
        .split_whitespace()
        .nth(2)
        .unwrap_or("unknown")
        .trim_start_matches('v');
    let name = version.split('~').next().unwrap_or(version).into();
    Version {
        name,
        bin: "/usr/bin".into(),
    }
}
