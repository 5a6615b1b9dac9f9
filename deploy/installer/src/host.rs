//! The node: its files, below the folder where they are mounted, and its programs.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{At, Error, Result};

/// Where programs are on nodes; the first are those of a shell's PATH.
const PROGRAMS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The mount namespace of the node, seen from a pod with `hostPID`.
const MOUNTS: &str = "/proc/1/ns/mnt";

#[derive(Debug, Clone)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// `root` is `/` on the node itself, or where its root is mounted.
    pub fn new(root: &Path) -> Result<Self> {
        let root = root
            .canonicalize()
            .at("can't find the node's files in", root)?;
        Ok(Self { root })
    }

    /// Whether this runs on the node, and not in a container beside it.
    pub fn is_here(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where a path of the node is found from here. Links are followed as the
    /// node follows them: an absolute one begins at the node's root. What is not
    /// there yet keeps its name below the last folder that is.
    pub fn path(&self, on_node: impl AsRef<Path>) -> PathBuf {
        let on_node = on_node.as_ref();
        if let Some(found) = self.resolve(on_node) {
            return found;
        }
        match (on_node.parent(), on_node.file_name()) {
            (Some(parent), Some(name)) => self.path(parent).join(name),
            _ => self.root.clone(),
        }
    }

    fn resolve(&self, on_node: &Path) -> Option<PathBuf> {
        let below = on_node.strip_prefix("/").unwrap_or(on_node);
        let below = if below.as_os_str().is_empty() {
            Path::new(".")
        } else {
            below
        };
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let root = openat(CWD, &self.root, flags, Mode::empty()).ok()?;
        let file: OwnedFd =
            openat2(root, below, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()?;
        fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
    }

    /// The path without following a link that is its last part.
    pub fn link(&self, on_node: &Path) -> PathBuf {
        match (on_node.parent(), on_node.file_name()) {
            (Some(parent), Some(name)) => self.path(parent).join(name),
            _ => self.root.clone(),
        }
    }

    /// The path on the node of a file found by [`Self::path`].
    pub fn on_node(&self, here: &Path) -> PathBuf {
        Path::new("/").join(here.strip_prefix(&self.root).unwrap_or(here))
    }

    pub fn exists(&self, on_node: &str) -> bool {
        self.path(on_node).exists()
    }

    /// The text of a file of the node, `None` if there is no such file.
    pub fn read(&self, on_node: impl AsRef<Path>) -> Result<Option<String>> {
        let path = self.path(on_node);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at("can't read", &path),
        }
    }

    /// Runs a program of the node among the node's files, and returns what it
    /// did; an error if there is no such program.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<Output> {
        let mut command = if self.is_here() {
            Command::new(program)
        } else {
            let mut command = Command::new("/proc/self/exe");
            command.args(["on-node", program]);
            command
        };
        command.args(args).env("PATH", search_path());
        let line = || format!("{program} {}", args.join(" "));
        let output = command.output().map_err(|source| Error::Command {
            command: line(),
            reason: source.to_string(),
        })?;
        match output.status.code() {
            Some(NOT_FOUND) if !self.is_here() => Err(Error::Command {
                command: line(),
                reason: String::from_utf8_lossy(&output.stderr).trim().into(),
            }),
            _ => Ok(output),
        }
    }

    /// What the program printed, an error if it did not succeed.
    pub fn output(&self, program: &str, args: &[&str]) -> Result<String> {
        let output = self.run(program, args)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().into());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let stdout = String::from_utf8_lossy(&output.stdout);
        let said = if stderr.trim().is_empty() {
            stdout
        } else {
            stderr
        };
        Err(Error::Command {
            command: format!("{program} {}", args.join(" ")),
            reason: format!("{}: {}", output.status, said.trim()),
        })
    }
}

/// The exit code for a program that the node does not have, as shells use it.
const NOT_FOUND: i32 = 127;

/// Ours first, as tests put programs there; a container's own PATH is empty.
fn search_path() -> String {
    match std::env::var("PATH") {
        Ok(path) if !path.is_empty() => format!("{path}:{PROGRAMS}"),
        _ => PROGRAMS.into(),
    }
}

/// Becomes a program of the node: `wasm-node-installer on-node PROGRAM ARGS`.
pub fn become_program(line: &[String]) -> i32 {
    let Some((program, args)) = line.split_first() else {
        return 2;
    };
    let entered = File::open(MOUNTS)
        .map_err(|error| error.to_string())
        .and_then(|mounts| {
            let kind = Some(LinkNameSpaceType::Mount);
            move_into_link_name_space(mounts.as_fd(), kind).map_err(|error| error.to_string())
        });
    if let Err(error) = entered {
        eprintln!(
            "the node's mount namespace can't be entered ({MOUNTS}: {error}); the pod needs hostPID and privileged"
        );
        return NOT_FOUND;
    }
    let error = Command::new(program).args(args).exec();
    eprintln!("{program}: {error}");
    NOT_FOUND
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Folder;

    #[test]
    fn links_lead_where_the_node_says() {
        let folder = Folder::new("host");
        folder.write("node/etc/real/config.toml", "version = 2\n");
        std::os::unix::fs::symlink("/etc/real", folder.path("node/etc/containerd")).unwrap();
        let host = Host::new(&folder.path("node")).unwrap();
        let found = host.path("/etc/containerd/config.toml");
        assert_eq!(found, folder.path("node/etc/real/config.toml"));
        assert_eq!(host.on_node(&found), Path::new("/etc/real/config.toml"));
        assert_eq!(
            host.path("/etc/containerd/conf.d/new"),
            folder.path("node/etc/real/conf.d/new")
        );
        assert_eq!(host.path("/../../x"), folder.path("node/x"));
    }
}
