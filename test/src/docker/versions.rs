//! The Docker Engines at hand.

use std::fs;
use std::path::PathBuf;

use crate::{paths, versions};

/// One Docker Engine with the containerd that its Debian suite has.
#[derive(Debug, Clone)]
pub struct Version {
    /// Such as `26.1.5`; names tests and state folders.
    pub name: String,
    /// Where `bin/dockerd` and the client with its `cli-plugins/` are.
    pub folder: PathBuf,
    pub containerd: versions::Version,
}

/// The engines that `deploy/fetch-docker.sh` listed.
pub fn all() -> Vec<Version> {
    let list = paths::workspace().join("target/parts/docker.list");
    let text = fs::read_to_string(&list)
        .unwrap_or_else(|error| panic!("{}: {error}: run deploy/fetch-docker.sh", list.display()));
    let containerds = versions::all();
    let parse = |line: &str| {
        let [name, folder, containerd] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{}: not a version: {line}", list.display());
        };
        let containerd = containerds
            .iter()
            .find(|version| version.name == containerd)
            .unwrap_or_else(|| {
                panic!("no containerd {containerd}: run deploy/fetch-containerd.sh")
            });
        Version {
            name: name.into(),
            folder: folder.into(),
            containerd: containerd.clone(),
        }
    };
    text.lines().map(parse).collect()
}
