//! The `ctr` command of one containerd.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{self, Output};

/// More than any call here takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A `ctr` bound to a socket and a namespace.
#[derive(Debug, Clone)]
pub struct Ctr {
    program: PathBuf,
    socket: PathBuf,
    namespace: String,
}

impl Ctr {
    pub fn new(program: PathBuf, socket: PathBuf, namespace: &str) -> Self {
        Self {
            program,
            socket,
            namespace: namespace.into(),
        }
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The command, ready for its arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
            .arg("--address")
            .arg(&self.socket)
            .args(["--namespace", &self.namespace]);
        command
    }

    /// Runs `ctr` with these arguments to its end.
    pub fn call(&self, args: &[&str]) -> Output {
        let mut command = self.command();
        command.args(args);
        command::output(command, LIMIT)
    }

    pub fn import(&self, archive: &Path, (os, architecture): (&str, &str)) {
        let platform = format!("{os}/{architecture}");
        let archive = archive.to_string_lossy();
        self.call(&["images", "import", "--platform", &platform, &archive])
            .success();
    }

    /// Sends a signal to a task's init.
    pub fn kill(&self, id: &str, signal: &str) -> Output {
        self.call(&["tasks", "kill", "--signal", signal, id])
    }

    /// Deletes a task that ended, and checks the exit code that containerd
    /// remembers. `ctr` only warns of one that is not zero.
    pub fn delete_task(&self, id: &str, code: u32) {
        let output = self.call(&["tasks", "delete", id]);
        output.expect_code(0);
        let said = output
            .stderr_text()
            .contains(&format!("non-zero exit code {code}"));
        assert!(
            said || code == 0 && output.stderr.is_empty(),
            "not code {code}: {}",
            output.describe()
        );
    }

    pub fn delete_container(&self, id: &str) -> Output {
        self.call(&["containers", "delete", id])
    }

    pub fn containers(&self) -> Vec<String> {
        words(&self.call(&["containers", "list", "--quiet"]).success())
    }

    /// Ids of the tasks, whatever their state.
    pub fn tasks(&self) -> Vec<String> {
        words(&self.call(&["tasks", "list", "--quiet"]).success())
    }

    /// The status of a task (`RUNNING`, `STOPPED`) and its pid, or `None`.
    pub fn status(&self, id: &str) -> Option<(u32, String)> {
        let table = self.call(&["tasks", "list"]).success();
        let row = table
            .lines()
            .map(words)
            .find(|row| row.first().is_some_and(|first| first == id))?;
        Some((row.get(1)?.parse().ok()?, row.get(2)?.clone()))
    }

    /// Removes a container with its task, however it is.
    pub fn remove(&self, id: &str) {
        // Any of these may be gone already, or fail: what is left is a leak.
        self.kill(id, "SIGKILL");
        self.call(&["tasks", "delete", "--force", id]);
        self.delete_container(id);
    }

    /// Removes all containers, for the end of a containerd.
    pub fn remove_all(&self) {
        let listed = self.call(&["containers", "list", "--quiet"]);
        words(&listed.stdout_text())
            .iter()
            .for_each(|id| self.remove(id));
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(Into::into).collect()
}
