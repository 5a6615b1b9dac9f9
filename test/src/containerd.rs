//! A containerd of one's own: started for a test run, ended with it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::ctr::Ctr;
use crate::events::Events;
use crate::image::Image;
use crate::versions::Version;
use crate::{cgroup, command, config, guest_image, paths, sandbox};

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// What distinguishes one private containerd from another.
#[derive(Debug, Clone)]
pub struct Options {
    /// Names the state folder and the namespace; unique in the test run.
    pub name: String,
    /// The folder of the shim under test, first in containerd's PATH.
    pub shim_bin: PathBuf,
    /// Put before containerd's command line, such as `taskset -c 0`.
    pub wrapper: Vec<String>,
    /// Turns Kubernetes' interface on: what is to be in the configuration for it.
    /// `ctr` then talks of CRI's namespace.
    pub cri: Option<fn(u32, &Path) -> String>,
}

/// A running containerd. Dropping it removes all that it made.
#[derive(Debug)]
pub struct Containerd {
    pub version: Version,
    pub ctr: Ctr,
    pub events: Option<Events>,
    /// The cgroup of all that this containerd runs, from a hierarchy's root.
    group: String,
    folder: PathBuf,
    options: Options,
    process: Child,
}

impl Containerd {
    /// The containerd that the tests of a version share.
    pub fn shared(version: &Version) -> Self {
        let shim_bin = paths::shim_tree().join("bin");
        let options = Options {
            name: version.name.clone(),
            shim_bin,
            wrapper: Vec::new(),
            cri: None,
        };
        Self::start(version, &options)
    }

    /// Starts containerd, waits until it serves, imports the guest's image and
    /// listens to its events.
    pub fn start(version: &Version, options: &Options) -> Self {
        let mut containerd = Self::bare(version, options);
        for image in [guest_image::guest(), guest_image::guest_of_user()] {
            containerd.import(&image);
        }
        containerd.events = Some(Events::subscribe(&containerd.ctr));
        containerd
    }

    /// Starts containerd without any image.
    pub fn bare(version: &Version, options: &Options) -> Self {
        let folder = Path::new("/run/st").join(&options.name);
        fs::create_dir_all(&folder).expect("a folder in the sandbox's /run");
        let config = folder.join("config.toml");
        fs::write(&config, config::text(version.major(), &folder, options.cri))
            .expect("containerd's configuration");
        let group = format!("{}-{}", sandbox::id(), options.name);
        let namespace = options
            .cri
            .map_or(group.as_str(), |_| config::CRI_NAMESPACE);
        let process = boot(version, options, &folder);
        let ctr = Ctr::new(version.bin.join("ctr"), folder.join("c.sock"), namespace);
        Self {
            version: version.clone(),
            ctr,
            events: None,
            group,
            folder,
            options: options.clone(),
            process,
        }
    }

    /// Ends containerd as a crash does; what it runs goes on.
    pub fn kill(&mut self) {
        self.process.kill().expect("our own child");
        self.process.wait().expect("our own child");
    }

    /// Starts it again, on what it has left, after its end.
    pub fn restart(&mut self) {
        self.process = boot(&self.version, &self.options, &self.folder);
        if self.events.is_some() {
            self.events = Some(Events::subscribe(&self.ctr));
        }
    }

    pub fn import(&self, image: &Image) {
        let file = self
            .folder
            .join(format!("{}.tar", image.name.replace(['/', ':'], "-")));
        image.write(&file);
        self.ctr.import(&file, image.platform);
        fs::remove_file(&file).expect("the archive just written");
    }

    pub fn namespace(&self) -> &str {
        self.ctr.namespace()
    }

    pub fn group(&self) -> &str {
        &self.group
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("c.sock")
    }

    /// The bundle of a running container, as the shim was given it.
    pub fn bundle(&self, id: &str) -> PathBuf {
        let tasks = self.folder.join("state/io.containerd.runtime.v2.task");
        tasks.join(self.namespace()).join(id)
    }

    pub fn events(&self) -> &Events {
        self.events.as_ref().expect("started with events")
    }

    /// What containerd and the shims logged last.
    pub fn log_tail(&self) -> String {
        log_tail(&self.folder)
    }

    /// Removes containers, ends containerd and waits for it.
    fn stop(&mut self) {
        self.ctr.remove_all();
        self.events = None;
        let pid = Pid::from_child(&self.process);
        // It may have crashed: then there is nobody to tell.
        let _ = kill_process(pid, Signal::TERM);
        let (_, in_time) = command::finish(&mut self.process, STOP_LIMIT);
        if !in_time {
            eprintln!("containerd {} did not end at SIGTERM", self.version.name);
        }
        cgroup::remove_empty(&self.group);
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.stop();
        if let Ok(keep) = std::env::var("SHIM_TEST_LOGS") {
            let copy = Path::new(&keep).join(format!("{}.log", self.version.name));
            drop(fs::copy(self.folder.join("log"), copy));
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            // Something is still mounted below: the search for leaks says what.
            eprintln!("{}: {error}", self.folder.display());
        }
    }
}

/// Starts containerd, and returns when it serves.
fn boot(version: &Version, options: &Options, folder: &Path) -> Child {
    let mut process = spawn(version, options, &folder.join("config.toml"));
    let (ready, wait) = mpsc::channel();
    follow(
        process.stderr.take().expect("piped"),
        folder.join("log"),
        "containerd successfully booted",
        ready,
    );
    if wait.recv_timeout(START_LIMIT).is_err() {
        drop(process.kill());
        panic!("containerd did not start:\n{}", log_tail(folder));
    }
    process
}

fn spawn(version: &Version, options: &Options, config: &Path) -> Child {
    let path = format!(
        "{}:{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        options.shim_bin.display(),
        version.bin.display()
    );
    let mut line = options.wrapper.clone();
    line.push(
        version
            .bin
            .join("containerd")
            .to_string_lossy()
            .into_owned(),
    );
    let mut command = Command::new(&line[0]);
    command
        .args(&line[1..])
        .arg("--config")
        .arg(config)
        .env_clear();
    command.env("PATH", path).envs(HOST_ENVIRONMENT);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", line[0]))
}

/// Set in containerd's environment, which shims inherit. None of it may reach
/// a guest or change what the shim does.
pub const HOST_ENVIRONMENT: [(&str, &str); 3] = [
    ("HOST_SECRET", "must not reach a guest"),
    ("WASMEDGE_PLUGIN_PATH", "/nonexistent"),
    ("HOME", "/root"),
];

/// Copies a daemon's log to a file, and reports when it says that it serves.
/// Nobody waits for the thread: shims hold the log open too, and one that outlives
/// containerd is to be reported, not to be waited for.
pub fn follow(stderr: ChildStderr, path: PathBuf, serves: &'static str, ready: Sender<()>) {
    let mut options = File::options();
    let mut file = options
        .append(true)
        .create(true)
        .open(&path)
        .expect("the daemon's log");
    thread::spawn(move || {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            if String::from_utf8_lossy(&line).contains(serves) {
                // The receiver is gone when the start took too long.
                let _ = ready.send(());
            }
            drop(file.write_all(&line));
            drop(file.write_all(b"\n"));
        }
    });
}

pub fn log_tail(folder: &Path) -> String {
    let text = fs::read(folder.join("log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
