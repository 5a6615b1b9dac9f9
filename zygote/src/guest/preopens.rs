use std::path::{Path, PathBuf};

use oci::Workload;

/// The preopens for WasmEdge, as `guest:host`; in the container both are the
/// same path, but for the working directory.
///
/// WASI has no working directory. C and Rust programs (wasi-libc) resolve a
/// relative path in the preopen that comes last among those that match best,
/// and take `.` and `/` for equally good matches. So where the working
/// directory is not the root, `.` comes last and stands for it, and each folder
/// at the root has a preopen of its own, which matches absolute paths better.
pub fn list(workload: &Workload) -> Vec<String> {
    let mut folders: Vec<PathBuf> = vec!["/".into()];
    let relative = workload.cwd != Path::new("/");
    if relative {
        folders.extend(folders_at_root());
    }
    for preopen in &workload.preopens {
        let path = preopen.path().to_owned();
        // A bind mount can be a file; only a folder can be opened ahead.
        if !folders.contains(&path) && path.is_dir() {
            folders.push(path);
        }
    }
    let mut preopens: Vec<String> = folders
        .iter()
        .filter_map(|folder| folder.to_str())
        .map(|folder| format!("{folder}:{folder}"))
        .collect();
    if relative && let Some(cwd) = workload.cwd.to_str() {
        preopens.push(format!(".:{cwd}"));
    }
    preopens
}

/// Folders at the root, and links to folders; those whose names can be said to
/// WasmEdge.
fn folders_at_root() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .filter(|path| path.to_str().is_some_and(|name| !name.contains(':')))
        .collect();
    folders.sort();
    folders
}
