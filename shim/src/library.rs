use std::fs::{DirBuilder, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipc::{Channel, FromLibrary, ToLibrary};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};
use tokio::task::JoinHandle;

use crate::child;
use crate::error::{Context, Result};
use crate::settings::Aot;
use crate::watched::{Watched, recv, watch};
use crate::zygote_process;

/// Where native code is kept; root's alone.
const STORE: &str = "/var/lib/containerd-shim-wasm/cache";

/// The node's store of native code, from which guests get theirs before they
/// run, and what has it made.
#[derive(Debug)]
pub struct Library {
    /// The folder of the zygote, which is the compiler too.
    files: PathBuf,
}

impl Library {
    pub fn new(files: PathBuf) -> Self {
        Self { files }
    }

    /// A connection for one guest; `None` if it is to be interpreted. Without a
    /// store, as on a machine whose /var can't be written, all guests are.
    pub fn connect(self: &Arc<Self>, policy: Aot) -> Option<OwnedFd> {
        if policy == Aot::Off {
            return None;
        }
        self.open_connection(policy)
            .inspect_err(|error| log::warn!("no native code is used: {error}"))
            .ok()
    }

    fn open_connection(self: &Arc<Self>, policy: Aot) -> Result<OwnedFd> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(STORE)
            .at("can't create", STORE)?;
        let (ours, theirs) = Channel::pair()?;
        let channel = watch(ours).context("can't watch a guest")?;
        tokio::spawn(Arc::clone(self).serve(channel, policy));
        Ok(theirs.into())
    }

    /// Returns when the guest has closed its end, before its program runs.
    async fn serve(self: Arc<Self>, channel: Watched<Channel>, policy: Aot) {
        while let Ok((question, fds)) = recv::<ToLibrary>(&channel).await {
            match question {
                ToLibrary::Find { key } if is_key(&key) => {
                    let module = fds.into_iter().next();
                    let code = self.find(&key, module, policy).await;
                    let sent = match &code {
                        Some(code) => channel
                            .get_ref()
                            .try_send(&FromLibrary::Found, &[code.as_fd()]),
                        None => channel.get_ref().try_send(&FromLibrary::Missing, &[]),
                    };
                    if sent.is_err() {
                        return;
                    }
                }
                ToLibrary::Discard { key } if is_key(&key) => {
                    log::warn!("native code {key} can't be loaded; it is made anew");
                    let _ = std::fs::remove_file(path(&key, "so"));
                }
                // Not a guest's side of this build.
                _ => return,
            }
        }
    }

    async fn find(&self, key: &str, module: Option<OwnedFd>, policy: Aot) -> Option<File> {
        if let Some(code) = open(key) {
            return Some(code);
        }
        if path(key, "failed").exists() {
            return None;
        }
        let compiler = match self.compile(key, module?, policy) {
            Ok(compiler) => compiler,
            Err(error) => {
                log::warn!("no native code is made: {error}");
                return None;
            }
        };
        if policy == Aot::Wait {
            let _ = compiler.await;
        }
        open(key)
    }

    fn compile(&self, key: &str, module: OwnedFd, policy: Aot) -> Result<JoinHandle<()>> {
        let mut command = zygote_process::command(&self.files)?;
        command.arg("compile");
        if policy == Aot::Wait {
            command.arg("--wait");
        }
        command.args([STORE, key]).stdin(module);
        let compiler = command
            .spawn()
            .at("can't start the compiler", &self.files)?;
        child::reap(compiler)
    }
}

fn path(key: &str, extension: &str) -> PathBuf {
    Path::new(STORE).join(format!("{key}.{extension}"))
}

/// What was used last is kept longest.
fn open(key: &str) -> Option<File> {
    let file = File::open(path(key, "so")).ok()?;
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    let _ = futimens(&file, &times);
    Some(file)
}

/// A name of a file, and no path.
fn is_key(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    key.len() < 200
        && key.starts_with(|first: char| first.is_ascii_digit())
        && key.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_no_path() {
        assert!(is_key("0.14.1-0123456789abcdef-00ff"));
        for wrong in ["", "..", "0/../x", ".hidden", "0\0", "a-0"] {
            assert!(!is_key(wrong), "{wrong:?}");
        }
    }
}
