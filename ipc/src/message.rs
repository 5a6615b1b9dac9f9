use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Phase;

/// From the shim to the zygote, on the control connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToZygote {
    /// Fork a launcher. One descriptor: its end of the container's connection.
    /// `own_network`: whether the container it is for gets a network namespace
    /// of its own; the next one is then taken to want the same. Not said for
    /// what is no new container.
    Fork { own_network: Option<bool> },
    /// Report how `pid` ended, the init process that the launcher `launcher`
    /// made. Asked once, when its pidfd has become readable and the container's
    /// connection is closed.
    Wait { launcher: i32, pid: i32 },
}

/// From the zygote to the shim; replies to `Fork` come in the order of asking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromZygote {
    Forked {
        launcher: i32,
    },
    ForkFailed {
        reason: String,
    },
    /// `status` is `None` when this zygote does not know, or not any more.
    Exited {
        pid: i32,
        status: Option<ExitStatus>,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    Code(i32),
    Signal(i32),
}

impl ExitStatus {
    /// As shells and container tools report it: 128 + n for death by signal n.
    pub fn code(self) -> u32 {
        match self {
            Self::Code(code) => u32::try_from(code & 0xff).unwrap_or(0),
            Self::Signal(signal) => 128 + u32::try_from(signal).unwrap_or(0),
        }
    }
}

/// From the shim to a launcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToLauncher {
    /// Do what can be done for a container before it is asked for: all that
    /// needs nothing but its `config.json`. Has no reply of its own; what fails
    /// is told in that to `Create`. Undone when the connection is closed.
    Prepare {
        launch: Launch,
        cgroup: Vec<CgroupFolder>,
    },
    /// Create the container that was prepared; its rootfs is mounted. Three
    /// descriptors: stdin, stdout, stderr; then one for each of the modules, the
    /// program first; then, if it may be asked, a connection to the shim's store
    /// of native code. Without modules the program is in the container.
    Create { modules: Vec<ModuleFile> },
    /// Let the created container's process run.
    Start,
    /// Add a process to a running container, and let it run. Four descriptors
    /// as for `Create`; `process` is a file of the OCI runtime spec's `process`.
    /// Asked of a launcher of its own.
    /// `init` is the pid of the container's first process.
    Exec {
        launch: Launch,
        process: PathBuf,
        init: i32,
    },
    /// Set the limits of a running container to those in a file of
    /// `linux.resources`. Asked of a launcher of its own.
    Update { launch: Launch, resources: PathBuf },
    /// Run the poststop hooks of a stopped container and forget it. Asked of a
    /// launcher of its own.
    Delete(Launch),
}

/// Which container, and what of it is not in its `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    pub id: String,
    pub bundle: PathBuf,
    /// Where libcontainer keeps the state of this container; below the bundle.
    pub state: PathBuf,
    /// cgroups are made by systemd, not by writing to cgroupfs.
    pub systemd_cgroup: bool,
    /// chroot in place of pivot_root, for a rootfs on the initramfs.
    pub no_pivot_root: bool,
    /// Leave the container with the zygote's session keyring.
    pub no_new_keyring: bool,
    /// Make it without libcontainer's processes, if it is a common container
    /// of a module.
    pub direct: bool,
    /// Note how long each step takes.
    pub trace: bool,
}

/// Where a container's cgroup is to be in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupFolder {
    /// Which files it has; none are said for cgroup v2, where all are there.
    pub controllers: Vec<String>,
    pub path: PathBuf,
}

impl Launch {
    /// Locked by the launcher, as a process (fcntl(2)), as long as it lives;
    /// holds its pid.
    pub fn lock_file(&self) -> PathBuf {
        self.state.join("lock")
    }
}

/// From a launcher to the shim: the reply to each request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromLauncher {
    /// The init process exists and waits, or the added one runs. A descriptor:
    /// its pidfd. If the container was made directly there is a second: a pipe
    /// whose first byte lets the process run and whose end ends it; the
    /// launcher goes then.
    Created {
        pid: i32,
        phases: Vec<Phase>,
    },
    Started,
    Updated,
    Deleted,
    /// One sentence for the person who typed the command.
    Failed {
        reason: String,
    },
}

/// A module that comes as a descriptor: a file that is whole, checked, and can't
/// be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleFile {
    /// What others import from it by; empty for the program.
    pub name: String,
    /// What the user knows it by.
    pub shown: String,
}

/// The answer of `wasm-content` to the shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromContent {
    /// The image's modules, the program first, with a descriptor for each.
    Modules(Vec<ModuleFile>),
    /// The image has none: what it runs is in its file system.
    Ordinary,
    /// One sentence for the person who typed the command.
    Failed { reason: String },
}

/// From a guest, before its program runs, to the shim's store of native code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToLibrary {
    /// Look for code. One descriptor: the module's file, to make code from.
    Find { key: String },
    /// What was found can't be used.
    Discard { key: String },
}

/// The reply to [`ToLibrary::Find`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromLibrary {
    /// One descriptor: the file of the code.
    Found,
    Missing,
}

/// From a compiler to who has started it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromCompiler {
    /// One descriptor: the file of the code.
    Compiled,
    Failed {
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_as_shells_report_it() {
        assert_eq!(ExitStatus::Code(0).code(), 0);
        assert_eq!(ExitStatus::Code(255).code(), 255);
        assert_eq!(ExitStatus::Signal(15).code(), 143);
        assert_eq!(ExitStatus::Signal(9).code(), 137);
    }
}
