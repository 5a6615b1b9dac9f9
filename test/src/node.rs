//! A node of its own: a machine's folders to change, processes that are seen by
//! nobody else, and a containerd that is started as systemd would start it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::command::{self, Output};
use crate::versions::Version;
use crate::{containerd, paths};

const LIMIT: Duration = Duration::from_secs(120);
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The folders that begin as the machine's. What is changed in them is in memory,
/// and gone with the node.
const OWN: [&str; 2] = ["etc", "var/lib"];

/// Those that begin empty.
const EMPTY: [&str; 3] = ["/opt", "/run", "/usr/local/bin"];

/// Where containerd keeps its content: overlays can't lie on overlays.
const ROOT: &str = "/run/root";

pub const CONFIG: &str = "/etc/containerd/config.toml";
pub const INSTALLER: &str = "bin/wasm-node-installer";

/// Dropping it ends all that runs on it.
#[derive(Debug)]
pub struct Node {
    pub version: Version,
    folder: PathBuf,
    unshare: Child,
    /// The node's pid 1, as we number it.
    init: u32,
}

impl Node {
    /// `folder` is an empty one that the node may have.
    pub fn new(version: &Version, folder: &Path) -> Self {
        let folder = folder.to_owned();
        let mut script = String::from("set -e\n");
        for (index, own) in OWN.iter().enumerate() {
            let layer = folder.join(index.to_string());
            for part in ["upper", "work"] {
                fs::create_dir_all(layer.join(part)).expect("a folder of this test");
            }
            let layer = layer.display();
            script += &format!(
                "mount -t overlay overlay -o lowerdir=/{own},upperdir={layer}/upper,workdir={layer}/work /{own}\n"
            );
        }
        for empty in EMPTY {
            script += &format!("mount -t tmpfs tmpfs {empty}\n");
        }
        script += "mkdir /run/lock\nrm -rf /etc/containerd /var/lib/containerd-shim-wasm\nmkdir /etc/containerd\n\
                   echo ready\nexec sleep infinity\n";
        let mut unshare = Command::new("unshare")
            .args([
                "--mount",
                "--propagation",
                "private",
                "--pid",
                "--fork",
                "--kill-child",
            ])
            .args(["--mount-proc", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare of util-linux");
        let mut line = String::new();
        let stdout = unshare.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("its output");
        assert_eq!(line, "ready\n", "the node's folders could not be made");
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let children = fs::read_to_string(children).expect("the children of unshare");
        let init = children.trim().parse().expect("one child");
        let version = version.clone();
        Self {
            version,
            folder,
            unshare,
            init,
        }
    }

    /// Where a file of the node is found from here.
    pub fn path(&self, on_node: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{on_node}", self.init))
    }

    pub fn read(&self, on_node: &str) -> String {
        let path = self.path(on_node);
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{on_node}: {error}"))
    }

    pub fn write(&self, on_node: &str, content: impl AsRef<[u8]>) {
        let path = self.path(on_node);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder of the node");
        fs::write(path, content).unwrap_or_else(|error| panic!("{on_node}: {error}"));
    }

    /// A script for the node, on its PATH before all others.
    pub fn script(&self, name: &str, text: &str) {
        let path = format!("/run/fake/{name}");
        self.write(&path, format!("#!/bin/sh\n{text}\n"));
        let mut chmod = Command::new("chmod");
        chmod.arg("+x").arg(self.path(&path));
        command::output(chmod, LIMIT).success();
    }

    /// A program on the node, ready for its arguments.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.init.to_string();
        command.args(["--target", &target, "--mount", "--pid", "--wd=/", "--"]);
        let path = format!(
            "/run/fake:{}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            self.version.bin.display()
        );
        command.arg(program.as_ref()).env_clear().env("PATH", path);
        command
    }

    pub fn run(&self, program: impl AsRef<Path>, args: &[&str]) -> Output {
        let mut command = self.command(program);
        command.args(args);
        command::output(command, LIMIT)
    }

    /// `wasm-node-installer` of the built tree, on the node itself.
    pub fn installer(&self, args: &[&str]) -> Output {
        self.run(paths::shim_tree().join(INSTALLER), args)
    }

    /// What containerd makes of its configuration.
    pub fn dump(&self) -> String {
        self.run("containerd", &["config", "dump"]).success()
    }

    /// The configuration that containerd of this version makes itself, but for the
    /// folder of its content.
    pub fn default_config(&self) -> String {
        let text = self.run("containerd", &["config", "default"]).success();
        let changed = text.replace("/var/lib/containerd", ROOT);
        assert_ne!(changed, text, "no root in the default configuration");
        changed
    }

    /// All files that an installer may touch: what each is, to the byte.
    pub fn files(&self) -> Vec<String> {
        let script = "find /etc/containerd /etc/containerd-shim-wasm /opt /usr/local/bin /var/lib/containerd-shim-wasm \
                      -printf '%p %y %m %U:%G %l ' \\( -type f -exec sha256sum {} \\; -o -printf '\\n' \\) 2>/dev/null; true";
        let text = self.run("sh", &["-c", script]).success();
        let mut lines: Vec<_> = text.lines().map(String::from).collect();
        lines.sort();
        lines
    }

    /// Panics when they are others than they were.
    pub fn expect_files(&self, before: &[String], when: &str) {
        let now = self.files();
        let new: Vec<_> = now.iter().filter(|line| !before.contains(line)).collect();
        let gone: Vec<_> = before.iter().filter(|line| !now.contains(line)).collect();
        assert!(
            new.is_empty() && gone.is_empty(),
            "{when}: new: {new:#?} gone: {gone:#?}"
        );
    }

    /// Starts containerd with the file that it finds by itself.
    pub fn containerd(&self) -> Daemon {
        self.start(self.command("containerd"), "containerd successfully booted")
    }

    /// Starts a program that goes on running, and waits for words on its stderr.
    pub fn start(&self, mut command: Command, words: &'static str) -> Daemon {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().expect("nsenter");
        let (ready, wait) = mpsc::channel();
        let stderr = process.stderr.take().expect("piped");
        containerd::follow(stderr, self.folder.join("log"), words, ready);
        if wait.recv_timeout(START_LIMIT).is_err() {
            drop(process.kill());
            panic!("no {words:?} in:\n{}", containerd::log_tail(&self.folder));
        }
        Daemon(process)
    }

    pub fn ctr(&self, args: &[&str]) -> Output {
        self.run("ctr", args)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Its pid 1 takes all others with it.
        drop(self.unshare.kill());
        drop(self.unshare.wait());
    }
}

/// A program on a node. Dropping it ends it, as `systemctl stop` does.
#[derive(Debug)]
pub struct Daemon(Child);

impl Daemon {
    /// Sends SIGTERM, and returns the exit code.
    pub fn stop(&mut self) -> i32 {
        // nsenter has forked into the pid namespace, and waits.
        let children = format!("/proc/{0}/task/{0}/children", self.0.id());
        let child = fs::read_to_string(children).unwrap_or_default();
        let pid = child.trim().parse().ok().and_then(Pid::from_raw);
        // It may have crashed: then there is nobody to tell.
        let _ = kill_process(pid.unwrap_or(Pid::from_child(&self.0)), Signal::TERM);
        let (status, in_time) = command::finish(&mut self.0, STOP_LIMIT);
        if !in_time {
            eprintln!("a program of the node did not end at SIGTERM");
        }
        command::exit_code(status)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}
