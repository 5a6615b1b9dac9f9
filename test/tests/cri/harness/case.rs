//! One test: its pods, its folders, and their end.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use k8s_cri::v1::PodSandboxConfig;
use shim_test::versions::Version;
use shim_test::{instance, leak};

use super::client::Client;
use super::pod::{self, Pod};
use super::server::Server;

/// What a test is given. Pods and folders carry the test's name.
#[derive(Debug)]
pub struct Case {
    pub server: Arc<Server>,
    name: String,
    /// Of pods and containers, to look for traces of.
    ids: Mutex<Vec<String>>,
}

impl Case {
    pub fn client(&self) -> &Client {
        &self.server.client
    }

    /// Runs a pod with the handler under test; `edit` says what is special.
    pub fn pod(&self, suffix: &str, edit: impl FnOnce(&mut PodSandboxConfig)) -> Pod<'_> {
        Pod::run(self, &format!("{}-{suffix}", self.name), edit)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn remember(&self, id: &str) {
        self.ids.lock().expect("no holder panics").push(id.into());
    }

    /// A new folder of this test on the host.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folders().join(name);
        fs::create_dir_all(&folder).expect("a folder in the sandbox's /run");
        folder
    }

    fn folders(&self) -> PathBuf {
        let files = self.server.containerd.folder().join("files");
        files.join(&self.name)
    }
}

impl instance::Server for Server {
    type Version = Version;
    type Case = Case;

    fn start(version: &Version) -> Self {
        Self::start(version)
    }

    fn name(version: &Version) -> &str {
        &version.name
    }

    fn group(&self) -> &str {
        self.containerd.group()
    }

    fn case(self: &Arc<Self>, test: &str) -> Case {
        Case {
            server: Arc::clone(self),
            name: test.replace('_', "-"),
            ids: Mutex::default(),
        }
    }
}

impl instance::Case for Case {
    fn assert_clean(&self) {
        let left = pod::list(self.client(), Some(&self.name)).expect("ListPodSandbox");
        assert!(left.is_empty(), "the test left its pods {left:?}");
        for id in &*self.ids.lock().expect("no holder panics") {
            leak::assert_no_trace(self.server.containerd.group(), id);
        }
    }

    fn remove_all(&self) {
        let group = self.server.containerd.group();
        pod::remove_all(self.client(), group, Some(&self.name));
    }

    /// The lines of containerd's log that mention this test or its containers.
    fn log(&self) -> String {
        let file = self.server.containerd.folder().join("log");
        let text = fs::read(file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let ids = self.ids.lock().expect("no holder panics");
        let ours = |line: &&str| {
            line.contains(&self.name) || ids.iter().any(|id| line.contains(id.as_str()))
        };
        let lines: Vec<_> = text.lines().filter(ours).collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn remove_folders(&self) {
        // Not there when the test made none.
        drop(fs::remove_dir_all(self.folders()));
    }
}
