use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ipc::Listener;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

use crate::child;
use crate::error::{Context, Result};
use crate::read_only;

/// The zygote's files as it finds them itself: its standard output is their
/// folder when it starts.
const OWN_FILES: &str = "/proc/self/fd/1";

/// How much of what a zygote says before it ends is kept, in bytes.
const WORDS: u64 = 1024;

/// How long to wait for the words of a zygote that has closed its connection.
const SAID_WITHIN: Duration = Duration::from_secs(1);

/// What a zygote said on its standard error when it could not start.
#[derive(Debug)]
pub struct LastWords(JoinHandle<String>);

impl LastWords {
    /// In one line; `None` if it said nothing.
    pub async fn hear(self) -> Option<String> {
        let said = tokio::time::timeout(SAID_WITHIN, self.0).await.ok()?.ok()?;
        let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
        (!line.is_empty()).then_some(line)
    }
}

/// Starts a zygote with the listener as its standard input.
pub fn start(files: &Path, socket: &Path, listener: Listener) -> Result<LastWords> {
    let mut command = command(files)?;
    command
        .arg("serve")
        .arg(socket)
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stderr(Stdio::piped());
    let mut child = command.spawn().at("can't start the zygote", files)?;
    let said = child.stderr.take().map(OwnedFd::from);
    child::reap(child)?;
    let said = said.map(pipe::Receiver::from_owned_fd).transpose();
    let said = said.context("can't hear the zygote")?;
    Ok(LastWords(tokio::spawn(async move {
        let mut text = Vec::new();
        // The zygote closes it when it is ready.
        if let Some(said) = said {
            let _ = said.take(WORDS).read_to_end(&mut text).await;
        }
        String::from_utf8_lossy(&text).into_owned()
    })))
}

/// The program of this folder, in a clone of it that no guest can write to.
pub fn command(files: &Path) -> Result<Command> {
    let mut command = ipc::zygote_program(files, Path::new(OWN_FILES));
    command
        .stdout(Stdio::from(read_only::clone(files)?))
        .stderr(Stdio::null());
    Ok(command)
}
