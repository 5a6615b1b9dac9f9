//! Cgroup folders, on v1 hierarchies and on v2.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{mounts, processes};

/// Where the cgroup hierarchies are mounted. The hybrid layout has many.
pub fn hierarchies() -> Vec<PathBuf> {
    let groups = mounts::all()
        .into_iter()
        .filter(|mount| mount.kind.starts_with("cgroup"));
    groups.map(|mount| mount.target.into()).collect()
}

/// The folders of one cgroup, given as a path from a hierarchy's root.
pub fn folders(path: &str) -> Vec<PathBuf> {
    let path = path.trim_start_matches('/');
    let folders = hierarchies().into_iter().map(|root| root.join(path));
    folders.filter(|folder| folder.is_dir()).collect()
}

/// The value of a limit, from whichever hierarchy has one of these files (v1
/// and v2 name them differently).
pub fn value(path: &str, files: &[&str]) -> Option<String> {
    let candidates = folders(path)
        .into_iter()
        .flat_map(|folder| files.iter().map(move |file| folder.join(file)));
    candidates
        .filter_map(|file| fs::read_to_string(file).ok())
        .next()
        .map(|text| text.trim().into())
}

/// Every cgroup below the one at `path`, deepest first, itself left out.
pub fn below(path: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    folders(path)
        .iter()
        .for_each(|folder| collect(folder, &mut found));
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
    {
        collect(&path, found);
        found.push(path);
    }
}

/// Removes the cgroup of a containerd namespace, which no runtime removes.
/// Fails silently while there are containers below: that is found as a leak.
pub fn remove_empty(path: &str) {
    folders(path)
        .iter()
        .for_each(|folder| drop(fs::remove_dir(folder)));
}

/// Removes all top cgroups of one test run, with everything below; and those of
/// zygotes and compilers that were killed with it. Those that run keep theirs.
pub fn remove_all(run: &str) {
    let run = format!("{run}-");
    let kinds = [run.as_str(), "wasm-zygote-", "wasm-compiler-"];
    remove_top(|name| kinds.iter().any(|kind| name.starts_with(kind)));
}

/// Removes what test runs left that were killed, init and all. A run is named
/// after a process, so one that is gone is over.
pub fn remove_stale() {
    remove_top(|name| {
        let pid = name
            .strip_prefix("st")
            .and_then(|rest| rest.split_once('-'));
        pid.and_then(|(pid, _)| pid.parse().ok())
            .is_some_and(|pid| !processes::exists(pid))
    });
}

fn remove_top(selected: impl Fn(&str) -> bool) {
    for root in hierarchies() {
        let Ok(entries) = fs::read_dir(root) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if selected(&name) {
                // What still has members stays, and is reported as a leak.
                let below = below(&name);
                below.iter().for_each(|path| drop(fs::remove_dir(path)));
                remove_empty(&name);
            }
        }
    }
}
