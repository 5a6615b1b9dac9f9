//! The node: containerd with CRI, and kubelet.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use shim_test::containerd::{Containerd, Options};
use shim_test::versions::Version;
use shim_test::{cgroup, cri, paths};

use super::credentials::Credentials;
use super::daemon::{self, Daemon};
use super::host::ADDRESS;
use super::images::{self, PAUSE};

/// A running node. Dropping it ends it.
#[derive(Debug)]
pub struct Node {
    kubelet: Option<Daemon>,
    kubeconfig: PathBuf,
    pub containerd: Containerd,
}

impl Node {
    pub fn containerd(version: &Version) -> Containerd {
        let options = Options {
            name: format!("k8s-{}", version.name),
            shim_bin: paths::shim_tree().join("bin"),
            wrapper: Vec::new(),
            cri: Some(|major, folder| cri::configuration(major, folder, PAUSE)),
        };
        let containerd = Containerd::bare(version, &options);
        images::import(&containerd);
        containerd
    }

    /// Starts kubelet on a containerd.
    pub fn start(containerd: Containerd, credentials: &Credentials) -> Self {
        // kubelet makes all below this one.
        for root in cgroup::hierarchies() {
            let folder = root.join(containerd.group());
            fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        }
        let mut node = Self {
            kubelet: None,
            kubeconfig: credentials.kubeconfig.clone(),
            containerd,
        };
        node.start_kubelet();
        node
    }

    pub fn start_kubelet(&mut self) {
        let folder = self.containerd.folder();
        let config = folder.join("kubelet.json");
        let text = kubelet_configuration(&self.containerd).to_string();
        fs::write(&config, text).expect("kubelet's configuration");
        let data = folder.join("kubelet");
        let args = [
            format!("--config={}", config.display()),
            format!("--kubeconfig={}", self.kubeconfig.display()),
            format!("--root-dir={}", data.display()),
            format!("--cert-dir={}", data.join("pki").display()),
            format!("--node-ip={ADDRESS}"),
            "--hostname-override=node".into(),
            "--v=2".into(),
        ];
        let program = daemon::program("kubelet");
        self.kubelet = Some(Daemon::start("kubelet", &program, &args, folder));
    }

    pub fn stop_kubelet(&mut self) {
        self.kubelet = None;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop_kubelet();
        cri::network::remove();
        let group = self.containerd.group();
        for folder in cgroup::below(group) {
            // One that is in use is found as a leak.
            drop(fs::remove_dir(folder));
        }
    }
}

fn kubelet_configuration(containerd: &Containerd) -> serde_json::Value {
    let folder = containerd.folder();
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": format!("unix://{}", containerd.socket().display()),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", containerd.group()),
        "failCgroupV1": false,
        "failSwapOn": false,
        // Only the API server reaches its port.
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "address": ADDRESS,
        "healthzPort": 0,
        "resolvConf": "",
        "podLogsDir": folder.join("logs"),
        "volumePluginDir": folder.join("volume-plugins"),
        // The machine's disk is not the tests' business.
        "evictionHard": {"memory.available": "1Mi"},
        "imageGCHighThresholdPercent": 100,
        // Tests wait for all that these delay.
        "syncFrequency": "10s",
        "serializeImagePulls": false,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
    })
}
