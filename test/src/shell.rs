//! Commands as a person types them, with this test's containerd and the
//! installed tree, as if both were the machine's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::case::Case;
use crate::command::{self, Output};
use crate::paths;

const LIMIT: Duration = Duration::from_secs(180);

/// Between two calls of `ctr` in the record. No example has it as a word.
const END: &str = "\x1e";

/// A bash that writes down what `ctr` is called with.
#[derive(Debug)]
pub struct Shell<'a> {
    case: &'a Case,
    /// Has the `ctr` that is found first, and its record.
    folder: PathBuf,
}

impl<'a> Shell<'a> {
    pub fn new(case: &'a Case) -> Self {
        let folder = case.folder("shell");
        let real = case.containerd.version.bin.join("ctr");
        let record = folder.join("record");
        let script = format!(
            "#!/bin/sh\nprintf '%s\\0' \"$@\" '{END}' >>'{}'\nexec '{}' \"$@\"\n",
            record.display(),
            real.display()
        );
        let ctr = folder.join("ctr");
        fs::write(&ctr, script).expect("a file of this test");
        fs::set_permissions(&ctr, fs::Permissions::from_mode(0o755)).expect("its mode");
        Self { case, folder }
    }

    /// Runs a script in the root of the workspace; a command that fails ends it.
    pub fn run(&self, script: &str) -> Output {
        let containerd = &self.case.containerd;
        let installed = paths::shim_tree().join("bin");
        let folders = [&self.folder, &installed].map(|folder| folder.display().to_string());
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script])
            .current_dir(paths::workspace())
            .env(
                "PATH",
                format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folders.join(":")),
            )
            .env("CONTAINERD_ADDRESS", containerd.socket())
            .env("CONTAINERD_NAMESPACE", containerd.namespace());
        command::output(bash, LIMIT)
    }

    /// The arguments of each `ctr run` since the last time this was asked.
    pub fn runs(&self) -> Vec<Vec<String>> {
        let record = self.folder.join("record");
        let text = fs::read_to_string(&record).unwrap_or_default();
        // Not there if nothing called ctr.
        drop(fs::remove_file(record));
        let words: Vec<_> = text.split_terminator('\0').map(String::from).collect();
        words
            .split(|word| word == END)
            .filter(|call| call.first().is_some_and(|word| word == "run"))
            .map(|call| call[1..].to_vec())
            .collect()
    }
}
