//! Looks for what a container or a containerd left behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::{cgroup, mounts, paths, processes, wait};

/// How long an idle helper process may stay after its last container.
const IDLE_LIMIT: Duration = Duration::from_secs(40);
/// How long the kernel and the shim may take to clear up after one container.
const CLEAR_LIMIT: Duration = Duration::from_secs(10);

/// What there is in the sandbox. Private to this test run, so it is exact.
#[derive(Debug, Clone)]
pub struct Snapshot {
    processes: BTreeSet<u32>,
    mounts: BTreeSet<String>,
    files: BTreeSet<String>,
}

impl Snapshot {
    pub fn take() -> Self {
        let mut files = BTreeSet::new();
        collect_files(Path::new("/run"), &mut files);
        Self {
            processes: processes::all().iter().map(|process| process.pid).collect(),
            mounts: mounts::all()
                .into_iter()
                .map(|mount| mount.target)
                .collect(),
            files,
        }
    }

    /// Panics when there is more than at the time of the snapshot, or a cgroup
    /// of this containerd.
    pub fn assert_nothing_new(&self, group: &str) {
        wait::until_clean(IDLE_LIMIT, || self.new_process());
        let now = Self::take();
        let mounts: Vec<_> = now.mounts.difference(&self.mounts).collect();
        assert!(mounts.is_empty(), "left mounted: {mounts:?}");
        let mut files: Vec<_> = now.files.difference(&self.files).collect();
        if !paths::runs_wasm() {
            // runc's shim forgets the socket of a pod when it is killed.
            files.retain(|file| !file.starts_with("/run/containerd/s/"));
        }
        assert!(files.is_empty(), "left in /run: {files:?}");
        let groups = cgroup::folders(group);
        assert!(
            groups.is_empty(),
            "left cgroups: {groups:?} {:?}",
            cgroup::below(group)
        );
    }

    /// As [`Self::assert_nothing_new`], told. What clients that were killed left
    /// of their own, their FIFOs, is not looked at.
    pub fn new_since(&self, namespace: &str) -> Option<String> {
        let deadline = Instant::now() + IDLE_LIMIT;
        while let Some(process) = self.new_process() {
            if Instant::now() > deadline {
                return Some(process);
            }
            thread::sleep(Duration::from_millis(100));
        }
        let now = Self::take();
        let mounts = now.mounts.difference(&self.mounts).cloned();
        let of_clients = |file: &&String| file.starts_with("/run/containerd/fifo/");
        let files = now.files.difference(&self.files);
        let files = files.filter(|file| !of_clients(file)).cloned();
        let groups = cgroup::folders(namespace)
            .into_iter()
            .map(|group| group.display().to_string());
        let left: Vec<String> = mounts.chain(files).chain(groups).collect();
        (!left.is_empty()).then(|| left.join(", "))
    }

    fn new_process(&self) -> Option<String> {
        let new = processes::all()
            .into_iter()
            .filter(|process| !self.processes.contains(&process.pid));
        let new: Vec<_> = new
            .map(|process| format!("{} ({})", process.pid, process.command_line))
            .collect();
        (!new.is_empty()).then(|| format!("processes: {}", new.join(", ")))
    }
}

/// Files, sockets and FIFOs below `folder`. Empty folders don't count: ctr and
/// containerd make some for all that come after.
fn collect_files(folder: &Path, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_files(&entry.path(), found);
        } else {
            found.insert(entry.path().to_string_lossy().into_owned());
        }
    }
}

/// Panics unless every trace of a container is gone: shim, mounts, cgroup, and
/// state in /run.
/// `group`: the cgroup above those of all containers.
pub fn assert_no_trace(group: &str, id: &str) {
    wait::until_clean(CLEAR_LIMIT, || trace(group, id));
}

fn trace(group: &str, id: &str) -> Option<String> {
    if let Some(shim) = processes::shim_of(id) {
        return Some(format!("the shim {} ({})", shim.pid, shim.command_line));
    }
    let has_id = |path: &str| path.split('/').any(|part| part == id);
    if let Some(mount) = mounts::all()
        .into_iter()
        .find(|mount| has_id(&mount.target))
    {
        return Some(format!("the mount {}", mount.target));
    }
    if let Some(group) = cgroup::below(group)
        .iter()
        .find(|group| group.ends_with(id))
    {
        return Some(format!("the cgroup {}", group.display()));
    }
    named(Path::new("/run"), id)
}

/// A file or folder of this name below `folder`, but in containerd's own
/// content, where an image may have anything.
fn named(folder: &Path, name: &str) -> Option<String> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.ends_with(name) {
            return Some(path.to_string_lossy().into_owned());
        }
        let content = path
            .to_string_lossy()
            .contains("/io.containerd.snapshotter")
            || path.ends_with("files");
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if let Some(found) = (is_folder && !content)
            .then(|| named(&path, name))
            .flatten()
        {
            return Some(found);
        }
    }
    None
}
