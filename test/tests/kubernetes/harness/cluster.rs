//! The whole: what the tests of one version share.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shim_test::ctr::Ctr;
use shim_test::versions::Version;
use shim_test::{cri, paths};

use super::control_plane::ControlPlane;
use super::daemon;
use super::kubectl::Kubectl;
use super::node::Node;
use super::turns::Turns;

/// A running cluster of one node. Dropping it ends it.
#[derive(Debug)]
pub struct Cluster {
    /// Before the node, whose end takes the folder of both with it, but after kubelet:
    /// the API server waits for those who watch.
    pub control_plane: ControlPlane,
    node: Mutex<Node>,
    pub turns: Turns,
    /// All that the cluster writes.
    pub folder: PathBuf,
    /// The cgroup above all pods'.
    pub group: String,
}

impl Cluster {
    pub fn start(version: &Version) -> Self {
        let containerd = Node::containerd(version);
        let folder = containerd.folder().to_owned();
        let group = containerd.group().to_owned();
        let control_plane = ControlPlane::start(&folder);
        let node = Node::start(containerd, &control_plane.credentials);
        let cluster = Self {
            node: Mutex::new(node),
            turns: Turns::default(),
            control_plane,
            folder,
            group,
        };
        let kubectl = cluster.kubectl("default");
        kubectl.wait("node/node", "create").success();
        let ready = kubectl.wait("node/node", "condition=Ready");
        assert_eq!(ready.code, 0, "{}\n{}", ready.describe(), cluster.log(""));
        cluster.make_class();
        cluster
    }

    /// The class that users apply; on runc to check the tests themselves.
    pub fn make_class(&self) {
        let file = paths::workspace().join("deploy/runtime-class.yaml");
        let text = fs::read_to_string(file).expect("deploy/runtime-class.yaml");
        let text = if paths::runs_wasm() {
            text
        } else {
            let ours = format!("handler: {}", cri::readme::handler());
            text.replace(&ours, "handler: runc")
        };
        let kubectl = self.kubectl("default");
        kubectl.feed(&["apply", "--filename=-"], &text).success();
    }

    pub fn kubectl<'a>(&'a self, namespace: &'a str) -> Kubectl<'a> {
        Kubectl::new(&self.control_plane.credentials, namespace)
    }

    /// Where `kubectl` and the node's `ctr` are, for a shell.
    pub fn path(&self) -> String {
        let kubectl = daemon::program("kubectl");
        let kubectl = kubectl.parent().expect("a folder").display();
        let node = self.node();
        let ctr = node.containerd.version.bin.display();
        format!("{kubectl}:{ctr}:/usr/sbin:/usr/bin:/sbin:/bin")
    }

    /// Where the node's containerd listens.
    pub fn socket(&self) -> PathBuf {
        self.node().containerd.socket()
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn version(&self) -> Version {
        self.node().containerd.version.clone()
    }

    /// `ctr` for the node's pods.
    pub fn ctr(&self) -> Ctr {
        self.node().containerd.ctr.clone()
    }

    /// Ends kubelet and starts it again.
    pub fn restart_kubelet(&self) {
        let mut node = self.node();
        node.stop_kubelet();
        node.start_kubelet();
    }

    /// Kills containerd and starts it again.
    pub fn restart_containerd(&self) {
        let mut node = self.node();
        node.containerd.kill();
        node.containerd.restart();
    }

    /// The last lines of kubelet's and containerd's logs with this text.
    pub fn log(&self, text: &str) -> String {
        let mut said = String::new();
        for name in ["kubelet.log", "log"] {
            let bytes = fs::read(self.folder.join(name)).unwrap_or_default();
            let all = String::from_utf8_lossy(&bytes).into_owned();
            let lines: Vec<_> = all.lines().filter(|line| line.contains(text)).collect();
            said += &format!("--- {name}\n");
            said += &lines[lines.len().saturating_sub(30)..].join("\n");
            said += "\n";
        }
        said
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.node().stop_kubelet();
    }
}
