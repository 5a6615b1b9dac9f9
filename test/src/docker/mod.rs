//! A Docker Engine of one's own, on a private containerd.

mod case;
mod versions;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::mount::UnmountFlags;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

pub use case::Case;
pub use versions::{Version, all};

use crate::command::{self, Output};
use crate::containerd::{self, Containerd};
use crate::{guest_image, paths};

/// The runtime of `daemon.json`, whose shim is not on containerd's PATH.
pub const OFF_PATH: &str = "off-path";
/// How long one `docker` command may take.
pub const LIMIT: Duration = Duration::from_secs(60);

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A running dockerd with its containerd. Dropping it removes all it made.
#[derive(Debug)]
pub struct Docker {
    pub version: Version,
    process: Child,
    folder: PathBuf,
    containerd: Containerd,
    network: Network,
}

/// The network namespace of a dockerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    /// The suite's.
    Shared,
    Own,
}

impl Docker {
    /// Starts both, waits until dockerd serves, and loads the guest's image.
    pub fn start(version: &Version) -> Self {
        let name = format!("docker-{}", version.name);
        Self::launch(version, &name, json!({}), Network::Shared)
    }

    /// The same beside another, without networks, and with further settings. In a
    /// network namespace of its own: there is one docker0 in each.
    pub fn apart(version: &Version, name: &str, mut settings: Value) -> Self {
        for (setting, value) in [
            ("bridge", json!("none")),
            ("iptables", json!(false)),
            ("ip6tables", json!(false)),
        ] {
            settings[setting] = value;
        }
        let name = format!("{name}-{}", version.name);
        Self::launch(version, &name, settings, Network::Own)
    }

    fn launch(version: &Version, name: &str, settings: Value, network: Network) -> Self {
        let options = containerd::Options {
            name: name.into(),
            shim_bin: paths::shim_tree().join("bin"),
            wrapper: Vec::new(),
            cri: None,
        };
        let containerd = Containerd::bare(&version.containerd, &options);
        let folder = containerd.folder().join("docker");
        fs::create_dir(&folder).expect("a folder in the sandbox's /run");
        let settings = daemon_json(&folder, settings).to_string();
        fs::write(folder.join("daemon.json"), settings).expect("dockerd's configuration");
        symlink(
            version.folder.join("cli-plugins"),
            folder.join("cli-plugins"),
        )
        .expect("the client's plugins");
        let docker = Self {
            version: version.clone(),
            process: boot(version, &containerd, &folder, network),
            network,
            folder,
            containerd,
        };
        docker.load_guest();
        docker
    }

    /// Ends dockerd as a crash does; containerd and what it runs go on.
    pub fn kill(&mut self) {
        self.process.kill().expect("our own child");
        self.process.wait().expect("our own child");
    }

    /// Starts dockerd again, on what it has left, after its end.
    pub fn restart(&mut self) {
        let Self {
            version,
            containerd,
            folder,
            network,
            ..
        } = &*self;
        self.process = boot(version, containerd, folder, *network);
    }

    fn load_guest(&self) {
        let image = if paths::runs_wasm() {
            guest_image::guest_for_wasi()
        } else {
            guest_image::guest()
        };
        let archive = self.folder.join("guest.tar");
        image.write(&archive);
        let loaded = self.call(&["load", "--input", &archive.to_string_lossy()]);
        assert!(
            loaded.success().contains(&image.name),
            "{}",
            loaded.describe()
        );
        fs::remove_file(archive).expect("the archive just written");
    }

    pub fn namespace(&self) -> &str {
        self.containerd.namespace()
    }

    pub fn group(&self) -> &str {
        self.containerd.group()
    }

    /// Where tests may put files, on the host.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The cgroup of a container, from a hierarchy's root.
    pub fn cgroup(&self, id: &str) -> String {
        format!("/{}/{id}", self.namespace())
    }

    /// `program`, such as `docker` or a shell, that talks to this dockerd.
    pub fn command(&self, program: &str) -> Command {
        let bin = self.version.folder.join("bin");
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", bin.display());
        let mut command = Command::new(program);
        command
            .env("PATH", path)
            .env("DOCKER_HOST", format!("unix://{}", self.socket().display()))
            .env("DOCKER_CONFIG", &self.folder)
            .current_dir(paths::workspace());
        command
    }

    /// `docker ARGS`, to its end, without input.
    pub fn call(&self, args: &[&str]) -> Output {
        let mut command = self.command("docker");
        command.args(args);
        command::output(command, LIMIT)
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// The lines of both daemons' logs with this text.
    pub fn log(&self, text: &str) -> String {
        let files = [
            self.folder.join("log"),
            self.containerd.folder().join("log"),
        ];
        let logs = files.map(|file| fs::read(file).unwrap_or_default());
        let logs = String::from_utf8_lossy(&logs.concat()).into_owned();
        let lines: Vec<_> = logs.lines().filter(|line| line.contains(text)).collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.process);
        // It may have crashed: then there is nobody to tell.
        let _ = kill_process(pid, Signal::TERM);
        let (_, in_time) = command::finish(&mut self.process, STOP_LIMIT);
        if !in_time {
            eprintln!("dockerd {} did not end at SIGTERM", self.version.name);
        }
        // One that would find its containers again keeps this; others have not.
        let _ = rustix::mount::unmount(self.folder.join("data"), UnmountFlags::DETACH);
        if let Ok(keep) = std::env::var("SHIM_TEST_LOGS") {
            let copy = Path::new(&keep).join(format!("dockerd-{}.log", self.version.name));
            drop(fs::copy(self.folder.join("log"), copy));
        }
    }
}

/// As the README says, with a shim by a name that PATH has not.
fn daemon_json(folder: &Path, mut settings: Value) -> Value {
    let shim = folder.join("containerd-shim-offpath-v1");
    symlink(
        paths::shim_tree().join("bin/containerd-shim-wasm-v1"),
        &shim,
    )
    .expect("a link to the shim");
    settings["features"] = json!({"containerd-snapshotter": true});
    settings["runtimes"] = json!({OFF_PATH: {"runtimeType": shim}});
    settings
}

/// Starts dockerd, and returns when it serves.
fn boot(version: &Version, containerd: &Containerd, folder: &Path, network: Network) -> Child {
    let mut process = spawn(version, containerd, folder, network);
    let (ready, wait) = mpsc::channel();
    let stderr = process.stderr.take().expect("piped");
    containerd::follow(stderr, folder.join("log"), "API listen on", ready);
    if wait.recv_timeout(START_LIMIT).is_err() {
        // Or it would be left.
        drop(process.kill());
        drop(process.wait());
        panic!("dockerd did not start:\n{}", containerd::log_tail(folder));
    }
    process
}

fn spawn(version: &Version, containerd: &Containerd, folder: &Path, network: Network) -> Child {
    let bin = version.folder.join("bin");
    let at = |name: &str| folder.join(name);
    let namespace = containerd.namespace();
    let dockerd = bin.join("dockerd");
    let mut command = match network {
        Network::Shared => Command::new(dockerd),
        Network::Own => {
            let mut command = Command::new("unshare");
            command.arg("--net").arg(dockerd);
            command
        }
    };
    command.arg("--config-file").arg(at("daemon.json"));
    command.arg("--data-root").arg(at("data"));
    command.arg("--exec-root").arg(at("exec"));
    command.arg("--pidfile").arg(at("pid"));
    command
        .arg("--host")
        .arg(format!("unix://{}", at("docker.sock").display()));
    command.arg("--containerd").arg(containerd.socket());
    command.args(["--containerd-namespace", namespace]);
    command.args([
        "--containerd-plugins-namespace",
        &format!("{namespace}-plugins"),
    ]);
    // The machine's cgroups are shared; below this one all is ours.
    command.args(["--cgroup-parent", &format!("/{namespace}")]);
    // dockerd looks for docker-proxy, docker-init and iptables.
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", bin.display());
    command.env_clear().env("PATH", path);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", bin.display()))
}
