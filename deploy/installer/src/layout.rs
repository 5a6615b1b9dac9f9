//! Where the different kinds of Kubernetes have their containerd.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::host::Host;
use crate::processes;

/// All that is installed.
pub const PREFIX: &str = "/opt/containerd-shim-wasm";
/// In [`PREFIX`], and never another one.
pub const SHIM: &str = "/opt/containerd-shim-wasm/current/bin/containerd-shim-wasm-v1";
/// On containerd's PATH, for `ctr` and for people.
pub const LINK: &str = "/usr/local/bin/containerd-shim-wasm-v1";
/// What the shim keeps between containers: native code.
pub const CACHE: &str = "/var/lib/containerd-shim-wasm";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// containerd as a service of its own: kubeadm, kind, minikube, EKS, GKE, AKS
    Containerd,
    K3s,
    Rke2,
    Microk8s,
    K0s,
}

/// A containerd on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    pub kind: Kind,
    /// The file that containerd reads.
    pub config: PathBuf,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::K3s,
        Self::Rke2,
        Self::Microk8s,
        Self::K0s,
        Self::Containerd,
    ];

    /// The file that this kind's containerd is started with.
    fn config(self) -> &'static str {
        match self {
            Self::Containerd => "/etc/containerd/config.toml",
            Self::K3s => "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
            Self::Rke2 => "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
            Self::Microk8s => "/var/snap/microk8s/current/args/containerd.toml",
            Self::K0s => "/etc/k0s/containerd.toml",
        }
    }

    /// The systemd units that may run it. k0s watches its drop-ins itself.
    pub fn units(self) -> &'static [&'static str] {
        match self {
            Self::Containerd => &["containerd"],
            Self::K3s => &["k3s", "k3s-agent"],
            Self::Rke2 => &["rke2-server", "rke2-agent"],
            Self::Microk8s => &["snap.microk8s.daemon-containerd"],
            Self::K0s => &[],
        }
    }
}

impl Layout {
    pub fn new(kind: Kind, config: Option<PathBuf>) -> Self {
        let config = config.unwrap_or_else(|| kind.config().into());
        Self { kind, config }
    }

    /// What is on this node. Where several have left files, the one that runs.
    pub fn detect(host: &Host) -> Result<Self> {
        let mut found: Vec<_> = Kind::ALL
            .into_iter()
            .filter(|kind| host.exists(kind.config()))
            .collect();
        if found.len() > 1 {
            let running = processes::containerd_configs();
            let runs = |kind: &Kind| running.iter().any(|path| path == kind.config());
            if found.iter().any(runs) {
                found.retain(runs);
            }
        }
        match found[..] {
            [] => Ok(Self::new(Kind::Containerd, None)),
            [kind] => Ok(Self::new(kind, None)),
            _ => {
                let files: Vec<_> = found.iter().map(|kind| kind.config()).collect();
                Err(Error::invalid(format!(
                    "this node has configurations of several containerds ({}); say which to change \
                     with --kind",
                    files.join(", ")
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Folder;

    #[test]
    fn each_kind_is_told_by_its_files() {
        for kind in Kind::ALL {
            let folder = Folder::new(&format!("detect-{kind:?}"));
            let host = Host::new(&folder.path("")).unwrap();
            assert_eq!(Layout::detect(&host).unwrap().kind, Kind::Containerd);
            folder.write(&kind.config()[1..], "version = 2\n");
            assert_eq!(Layout::detect(&host).unwrap(), Layout::new(kind, None));
        }
    }

    #[test]
    fn between_two_kinds_the_operator_decides() {
        let folder = Folder::new("detect-two");
        for kind in [Kind::K3s, Kind::Microk8s] {
            folder.write(&kind.config()[1..], "version = 2\n");
        }
        let error = Layout::detect(&Host::new(&folder.path("")).unwrap()).unwrap_err();
        assert!(error.to_string().contains("--kind"), "{error}");
    }
}
