//! One test: its containers, its folders, and their end.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::containerd::Containerd;
use crate::run::Run;
use crate::versions::Version;
use crate::{instance, leak};

/// What a test is given. Ids and folders carry the test's name.
#[derive(Debug)]
pub struct Case {
    pub containerd: Arc<Containerd>,
    name: String,
    ids: Mutex<Vec<String>>,
}

impl Case {
    pub fn new(containerd: Arc<Containerd>, name: &str) -> Self {
        Self {
            containerd,
            name: name.replace('_', "-"),
            ids: Mutex::default(),
        }
    }

    /// A container id of this test, checked for traces at its end.
    pub fn id(&self, suffix: &str) -> String {
        let id = format!("{}-{suffix}", self.name);
        let mut ids = self.ids.lock().expect("no holder panics");
        if !ids.contains(&id) {
            ids.push(id.clone());
        }
        id
    }

    /// `ctr run` of a container with this id.
    pub fn run(&self, suffix: &str) -> Run<'_> {
        Run::new(&self.containerd, &self.id(suffix))
    }

    /// A new folder of this test on the host.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folders().join(name);
        fs::create_dir_all(&folder).expect("a folder in the sandbox's /run");
        folder
    }

    fn folders(&self) -> PathBuf {
        self.containerd.folder().join("files").join(&self.name)
    }
}

impl instance::Server for Containerd {
    type Version = Version;
    type Case = Case;

    fn start(version: &Version) -> Self {
        Self::shared(version)
    }

    fn name(version: &Version) -> &str {
        &version.name
    }

    fn group(&self) -> &str {
        self.group()
    }

    fn case(self: &Arc<Self>, test: &str) -> Case {
        Case::new(Arc::clone(self), test)
    }
}

impl instance::Case for Case {
    fn remove_all(&self) {
        let existing = self.containerd.ctr.containers();
        let ids = self.ids.lock().expect("no holder panics");
        ids.iter()
            .filter(|id| existing.contains(id))
            .for_each(|id| self.containerd.ctr.remove(id));
    }

    fn assert_clean(&self) {
        let existing = self.containerd.ctr.containers();
        let ids = self.ids.lock().expect("no holder panics").clone();
        for id in ids {
            assert!(!existing.contains(&id), "the test left its container {id}");
            leak::assert_no_trace(self.containerd.namespace(), &id);
        }
    }

    fn remove_folders(&self) {
        // Not there when the test made none.
        drop(fs::remove_dir_all(self.folders()));
    }

    /// The lines of containerd's log that mention this test.
    fn log(&self) -> String {
        let text = fs::read(self.containerd.folder().join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| line.contains(&self.name))
            .collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}
