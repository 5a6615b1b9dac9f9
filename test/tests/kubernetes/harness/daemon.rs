//! One program of the cluster, with its log.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use shim_test::{command, paths};

const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A running program. Dropping it ends it.
#[derive(Debug)]
pub struct Daemon {
    name: &'static str,
    process: Child,
    log: PathBuf,
}

/// A program that `test/kubernetes/build.sh` made.
pub fn program(name: &str) -> PathBuf {
    let path = paths::workspace().join("target/kubernetes/bin").join(name);
    assert!(
        path.exists(),
        "{} is missing: run test/kubernetes/build.sh",
        path.display()
    );
    path
}

impl Daemon {
    /// `program ARGS`, whose log goes on in `FOLDER/NAME.log`.
    pub fn start(name: &'static str, program: &Path, args: &[String], folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = OpenOptions::new().create(true).append(true).open(&log);
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file);
        let process = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Self { name, process, log }
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    fn end(&mut self, signal: Signal) {
        // It may have crashed: then there is nobody to tell.
        let _ = kill_process(Pid::from_child(&self.process), signal);
        let (_, in_time) = command::finish(&mut self.process, STOP_LIMIT);
        if !in_time {
            eprintln!("{} did not end at {signal:?}", self.name);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end(Signal::TERM);
    }
}
