//! A cgroup for a process of ours, beside those of containers and shims.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use oci::MountInfo;

/// How often to try again when the folder goes away, because another one of
/// its kind takes it for one that was left.
const ATTEMPTS: u32 = 3;

/// Where the calling process is, in each hierarchy that lets it. What ends a
/// pod, or the service that containerd is, ends processes by their cgroups.
#[derive(Debug)]
pub struct OwnCgroup {
    name: String,
    /// The roots of the hierarchies.
    joined: Vec<PathBuf>,
}

impl OwnCgroup {
    /// Puts the calling process, which has one thread, into a cgroup of the name
    /// `KIND-NAME` right at the root. `limits` are values by files; those that a
    /// hierarchy has are set. Where cgroups can't be written to, the process
    /// stays where it is.
    pub fn join(kind: &str, name: &str, limits: &[(&str, &str)]) -> Self {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Self::join_in(roots(&mountinfo), kind, name, limits)
    }

    fn join_in(roots: Vec<PathBuf>, kind: &str, name: &str, limits: &[(&str, &str)]) -> Self {
        let name = format!("{kind}-{name}");
        for root in &roots {
            remove_left(root, kind, &name);
        }
        let joins = |root: &PathBuf| join(root, &root.join(&name), limits).is_ok();
        let joined = roots.into_iter().filter(joins).collect();
        Self { name, joined }
    }

    /// Takes the process to the root, and removes the cgroup unless others are
    /// in it, such as guests that have outlived their shim.
    pub fn leave(self) {
        for root in self.joined {
            let _ = enter(&root);
            let _ = fs::remove_dir(root.join(&self.name));
        }
    }
}

/// The roots of all hierarchies, named ones and version 2 included. One that is
/// mounted again counts once.
fn roots(mountinfo: &str) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    MountInfo::list(mountinfo)
        .filter(|mount| mount.kind == "cgroup" || mount.kind == "cgroup2")
        .filter(|mount| seen.insert((mount.kind, mount.options)))
        .map(|mount| mount.target)
        .collect()
}

/// Removes what processes of this kind have left that were killed. A cgroup
/// that has processes can't be removed.
fn remove_left(root: &Path, kind: &str, own: &str) {
    let kind = format!("{kind}-");
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(&kind) && name != own {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn join(root: &Path, folder: &Path, limits: &[(&str, &str)]) -> std::io::Result<()> {
    let mut attempts = 1;
    loop {
        match try_join(root, folder, limits) {
            Err(error) if error.kind() == ErrorKind::NotFound && attempts < ATTEMPTS => {
                attempts += 1;
            }
            Err(error) => {
                let _ = fs::remove_dir(folder);
                return Err(error);
            }
            joined => return joined,
        }
    }
}

fn try_join(root: &Path, folder: &Path, limits: &[(&str, &str)]) -> std::io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // On version 1 a cpuset begins empty, and takes no process then.
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if let (Ok(value), Ok(own)) = (
            fs::read_to_string(root.join(file)),
            fs::read_to_string(folder.join(file)),
        ) && own.trim().is_empty()
        {
            fs::write(folder.join(file), value.trim())?;
        }
    }
    for (file, value) in limits {
        let file = folder.join(file);
        if file.exists() {
            fs::write(file, value)?;
        }
    }
    enter(folder)
}

/// A process that writes itself into `tasks` of version 1 waits for nothing.
fn enter(folder: &Path) -> std::io::Result<()> {
    let tasks = folder.join("tasks");
    let file = match tasks.exists() {
        true => tasks,
        false => folder.join("cgroup.procs"),
    };
    // Not made if it is not there: a folder that is no cgroup is none.
    let mut file = fs::File::options().write(true).open(file)?;
    std::io::Write::write_all(&mut file, b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hierarchy_has_one_root() {
        let mountinfo = "\
25 20 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
26 25 0:23 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
28 25 0:25 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
29 25 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
30 25 0:23 /pod /elsewhere rw - cgroup cgroup rw,memory";
        let expected = ["memory", "systemd", "unified"];
        let expected = expected.map(|name| Path::new("/sys/fs/cgroup").join(name));
        assert_eq!(roots(mountinfo), expected);
    }

    /// Folders in place of a hierarchy of version 2, without the kernel's part.
    #[test]
    fn what_can_not_be_joined_is_left_as_it_was() {
        let root = std::env::temp_dir().join(format!("own-cgroup-{}", std::process::id()));
        fs::create_dir_all(root.join("wasm-test-old")).unwrap();
        fs::create_dir_all(root.join("wasm-testing")).unwrap();
        let cgroup = OwnCgroup::join_in(vec![root.clone()], "wasm-test", "new", &[("no", "1")]);
        assert!(cgroup.joined.is_empty(), "there is no cgroup.procs");
        cgroup.leave();
        let left: Vec<_> = fs::read_dir(&root).unwrap().flatten().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].file_name(), "wasm-testing");
        fs::remove_dir_all(root).unwrap();
    }
}
