use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;
use std::time::Duration;

use ipc::CgroupFolder;
use rustix::process::{Pid, Signal, kill_process};

use crate::cgroup_path::{self, Hierarchy};
use crate::error::{Context, Error, Result};

/// A container's cgroup: one folder on v2, one for each hierarchy on v1.
#[derive(Debug, Clone)]
pub struct Cgroup {
    pub version: Version,
    pub folders: Vec<CgroupFolder>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

impl Cgroup {
    /// Where libcontainer puts the cgroup of `linux.cgroupsPath`; makes nothing.
    pub fn of(cgroups_path: Option<&Path>, id: &str, systemd: bool) -> Result<Self> {
        Self::among(Hierarchy::mounted()?, cgroups_path, id, systemd)
    }

    fn among(
        hierarchies: Vec<Hierarchy>,
        path: Option<&Path>,
        id: &str,
        systemd: bool,
    ) -> Result<Self> {
        let version = if hierarchies
            .iter()
            .any(|hierarchy| hierarchy.controllers.is_some())
        {
            Version::V1
        } else {
            Version::V2
        };
        // libcontainer expands a systemd path where systemd makes the cgroup,
        // which it does on v2 only.
        let path = cgroup_path::from_root(path, id, systemd && version == Version::V2)?;
        let folders = hierarchies
            .into_iter()
            .filter_map(|hierarchy| match (version, hierarchy.controllers) {
                (Version::V1, None) => None,
                (_, controllers) => Some(CgroupFolder {
                    controllers: controllers.unwrap_or_default(),
                    path: hierarchy.target.join(&path),
                }),
            })
            .collect();
        Ok(Self { version, folders })
    }

    /// Refuses a cgroup that has processes before its container is made: they
    /// would be killed with it.
    pub fn check_unused(&self) -> Result<()> {
        let used = self.folders.iter().find(|folder| {
            let mut pids = BTreeSet::new();
            collect_pids(&folder.path, &mut pids);
            !pids.is_empty()
        });
        match used {
            Some(folder) => Err(Error::Invalid(format!(
                "the cgroup {} has processes already; \
                 give each container a linux.cgroupsPath of its own",
                folder.path.display()
            ))),
            None => Ok(()),
        }
    }

    /// The folder that has a controller's files.
    pub fn controller(&self, name: &str) -> Option<&Path> {
        self.folders
            .iter()
            .find(|folder| {
                self.version == Version::V2 || folder.controllers.iter().any(|found| found == name)
            })
            .map(|folder| folder.path.as_path())
    }

    /// The processes in the cgroup and in those below it.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = BTreeSet::new();
        for CgroupFolder { path, .. } in &self.folders {
            walk(path, &mut |folder| collect_pids(folder, &mut pids));
        }
        pids.into_iter().collect()
    }

    /// Sends a signal to each process; those that ended meanwhile are fine.
    pub fn signal(&self, signal: Signal) {
        for pid in self.pids() {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, signal);
            }
        }
        if signal == Signal::KILL {
            self.thaw_to_kill();
        }
    }

    /// On v1 a process that was killed while it was frozen ends when it is
    /// thawed.
    pub fn thaw_to_kill(&self) {
        if self.version == Version::V1
            && let Some(folder) = self.controller("freezer")
        {
            // Gone already, or not frozen: nothing to do.
            let _ = std::fs::write(folder.join("freezer.state"), "THAWED");
        }
    }

    /// Kills what is left in the cgroup and removes it, which may take until
    /// the killed are gone, but not longer than `within`.
    pub async fn remove(&self, within: Duration) -> Result<()> {
        let deadline = tokio::time::Instant::now() + within;
        let mut pause = Duration::from_millis(1);
        loop {
            let Err(error) = self.try_remove() else {
                return Ok(());
            };
            if tokio::time::Instant::now() > deadline {
                return Err(error);
            }
            // cgroup v1 has nothing to wait on for a killed process to be gone.
            self.signal(Signal::KILL);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    fn try_remove(&self) -> Result<()> {
        for CgroupFolder { path, .. } in &self.folders {
            let mut folders = Vec::new();
            walk(path, &mut |folder| folders.push(folder.to_owned()));
            for folder in folders.iter().rev() {
                match std::fs::remove_dir(folder) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(error).at("can't remove the cgroup", folder);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Visits a folder and those below it, parents first; nothing if it is gone.
fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    visit(folder);
    for entry in entries.filter_map(std::result::Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), visit);
        }
    }
}

fn collect_pids(folder: &Path, pids: &mut BTreeSet<u32>) {
    if let Ok(file) = File::open(folder.join("cgroup.procs")) {
        let lines = BufReader::new(file).lines();
        pids.extend(
            lines
                .map_while(std::result::Result::ok)
                .filter_map(|line| line.parse::<u32>().ok()),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
25 20 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
26 25 0:23 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
27 25 0:24 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
28 25 0:25 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
29 25 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
30 25 0:23 / /other/memory rw,relatime - cgroup cgroup rw,memory";
    const UNIFIED: &str = "\
26 20 0:23 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";

    #[test]
    fn one_folder_for_each_hierarchy_on_v1() {
        let cgroup = Cgroup::among(
            Hierarchy::list(HYBRID),
            Some(Path::new("/default/a")),
            "a",
            false,
        )
        .unwrap();
        assert_eq!(cgroup.version, Version::V1);
        let folder = |name| cgroup.controller(name).map(|path| path.to_str().unwrap());
        assert_eq!(folder("memory"), Some("/sys/fs/cgroup/memory/default/a"));
        assert_eq!(
            folder("cpuacct"),
            Some("/sys/fs/cgroup/cpu,cpuacct/default/a")
        );
        assert_eq!(folder("pids"), None);
        assert_eq!(cgroup.folders.len(), 2);
    }

    #[test]
    fn one_folder_on_v2() {
        let cgroup = Cgroup::among(Hierarchy::list(UNIFIED), None, "a", false).unwrap();
        assert_eq!(cgroup.version, Version::V2);
        assert_eq!(
            cgroup.controller("pids"),
            Some(Path::new("/sys/fs/cgroup/:youki:a"))
        );
    }
}
