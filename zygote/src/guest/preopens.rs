use std::path::{Path, PathBuf};

use oci::Workload;
use wasmedge_sdk::WasmEdgeResult;
use wasmedge_sdk::wasi::WasiModule;

/// The number of the first preopen (WASI preview 1), after the three streams.
const FIRST_PREOPEN: i32 = 3;
/// The most `.` that a guest gets; see [`open`].
const MOST_DOTS: usize = 64;

/// WASI for a workload, with its folders opened.
///
/// WASI has no working directory. C and Rust programs (wasi-libc) resolve a
/// relative path in the preopen that comes last among those that match best,
/// and take `.` and `/` for equally good matches. So where the working
/// directory is not the root, `.` stands for it and has to come after `/`, and
/// each folder at the root has a preopen of its own, which matches absolute
/// paths better.
///
/// WasmEdge 0.14 puts its preopens in the order of their addresses on the heap,
/// which is most often, not always, that of the list. So the outcome is looked
/// at, and if it is wrong, tried again with more than one `.`: sooner or later
/// one is allocated behind `/`.
pub fn open(workload: &Workload, args: &[String]) -> WasmEdgeResult<WasiModule> {
    open_with_dots(workload, args).map(|(wasi, _)| wasi)
}

/// Says too how many dots it took.
fn open_with_dots(workload: &Workload, args: &[String]) -> WasmEdgeResult<(WasiModule, usize)> {
    let environ = workload.wasi_environ();
    let folders = folders(workload);
    let wants_dot = workload.cwd != Path::new("/");
    let mut dots = usize::from(wants_dot);
    loop {
        let list = arguments(&folders, &workload.cwd, dots);
        let wasi =
            WasiModule::create(Some(texts(args)), Some(texts(&environ)), Some(texts(&list)))?;
        if !wants_dot || dots >= MOST_DOTS || dot_follows_root(&wasi, list.len(), dots) {
            return Ok((wasi, dots));
        }
        dots *= 2;
    }
}

/// In the form that WasmEdge takes, `guest:host`.
fn arguments(folders: &[PathBuf], cwd: &Path, dots: usize) -> Vec<String> {
    let dot = (Path::new("."), cwd);
    folders
        .iter()
        .map(|folder| (folder.as_path(), folder.as_path()))
        .chain(std::iter::repeat_n(dot, dots))
        .filter_map(|(guest, folder)| argument(guest, folder))
        .collect()
}

/// WasmEdge opens no symlinks, so it is told where they lead in the container.
/// `None` for what can't be said to it.
fn argument(guest: &Path, folder: &Path) -> Option<String> {
    let host = folder.canonicalize().ok()?;
    let sayable = |path: &Path| path.to_str().is_some_and(|path| !path.contains(':'));
    (sayable(guest) && sayable(&host)).then(|| format!("{}:{}", guest.display(), host.display()))
}

/// Whether a `.` has a higher number than `/`. Which is which tells the number
/// of the descriptor beneath: these were opened in the order of the list, `/`
/// first and the dots last.
fn dot_follows_root(wasi: &WasiModule, preopens: usize, dots: usize) -> bool {
    let last = FIRST_PREOPEN + i32::try_from(preopens).unwrap_or_default();
    let mut opened: Vec<(u64, i32)> = (FIRST_PREOPEN..last)
        .filter_map(|fd| Some((wasi.get_native_handler(fd).ok()?, fd)))
        .collect();
    opened.sort_unstable();
    let root = opened.first().map(|(_, fd)| *fd);
    let dot = opened.iter().rev().take(dots).map(|(_, fd)| *fd).max();
    dot > root
}

/// The folders to open, by their paths in the container: the root, then, if the
/// working directory is another, those at the root, then the bind mounts.
fn folders(workload: &Workload) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = vec!["/".into()];
    if workload.cwd != Path::new("/") {
        folders.extend(folders_at_root());
    }
    for preopen in &workload.preopens {
        let path = preopen.path().to_owned();
        // A bind mount can be a file; only a folder can be opened ahead.
        if !folders.contains(&path) && path.is_dir() {
            folders.push(path);
        }
    }
    folders
}

fn texts(values: &[String]) -> Vec<&str> {
    values.iter().map(String::as_str).collect()
}

/// Folders at the root, and links to folders.
fn folders_at_root() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

#[cfg(test)]
mod tests {
    use oci::Wishes;

    use super::*;

    /// However the heap lies, relative paths are resolved where they should be.
    #[test]
    fn a_dot_follows_the_root() {
        let cwd = std::env::temp_dir();
        let mut holes = Vec::new();
        let mut retried = false;
        for round in 0..64_usize {
            // Frees every other one of many pieces of each size: holes that
            // do not melt together, the highest on top.
            let sizes = (64..640).step_by(16);
            let mut pieces: Vec<_> = sizes
                .flat_map(|size| vec![vec![0_u8; size]; round])
                .collect();
            let mut keep = false;
            pieces.retain(|_| {
                keep = !keep;
                keep
            });
            holes.push(pieces);
            let workload = Workload {
                args: Vec::new(),
                env: Vec::new(),
                cwd: cwd.clone(),
                apparmor_profile: None,
                selinux_label: None,
                terminal: false,
                preopens: Vec::new(),
                wishes: Wishes::default(),
                memory_limit: None,
            };
            let (wasi, dots) = open_with_dots(&workload, &["a".repeat(round)]).unwrap();
            let preopens = arguments(&folders(&workload), &cwd, dots).len();
            assert!(dot_follows_root(&wasi, preopens, dots), "round {round}");
            retried |= dots > 1;
        }
        assert!(retried, "the heap was never in the way: nothing was tested");
    }
}
