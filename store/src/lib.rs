//! The node's store of native code: a folder of files that are named by what
//! they are for.
//!
//! Shims look into it, `wasm-zygote compile` fills it, `wasm-oci cache` shows
//! and clears it. Of one [`Key`] there may be
//!
//! | file | what it is |
//! |---|---|
//! | `KEY.so` | native code; its modification time says when it was used last |
//! | `KEY.quick` | empty: that code was made quickly, better code is to follow |
//! | `KEY.failed` | why no code, or no better code, can be made |
//! | `KEY.lock` | locked by who makes code |
//! | `KEY.part` | code that is being written |
#![forbid(unsafe_code)]

mod claim;
mod error;
mod key;
mod listing;
mod room;
#[cfg(test)]
mod testing;

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Timespec, Timestamps, UTIME_NOW, flock, futimens};

pub use claim::{Claim, Quality};
pub use error::{Error, Result};
pub use key::Key;
pub use listing::{Entry, State};

use error::At;

/// Where native code is kept; root's alone.
pub const FOLDER: &str = "/var/lib/containerd-shim-wasm/cache";

/// How many bytes of code the store may hold; what was used longest ago goes.
pub const CAPACITY: u64 = 2 << 30;

const CODE: &str = "so";
const QUICK: &str = "quick";
const FAILED: &str = "failed";
const LOCK: &str = "lock";
const PART: &str = "part";

#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The store in this folder, which need not be there.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn create(&self) -> Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .at("can't create", &self.folder)
    }

    /// The code for this key, if there is some. What was used last is kept
    /// longest.
    pub fn open(&self, key: &Key) -> Option<File> {
        let file = File::open(self.path(key, CODE)).ok()?;
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

    /// Why no code can be made, if that was found out.
    pub fn failure(&self, key: &Key) -> Option<String> {
        let text = fs::read_to_string(self.path(key, FAILED)).ok()?;
        Some(text.trim_end().to_owned())
    }

    /// Whether the code that is there is to be replaced by better code, and
    /// nobody is at it: who was has been ended.
    pub fn is_left_quick(&self, key: &Key) -> bool {
        self.is_quick(key) && self.failure(key).is_none() && !self.is_locked(key)
    }

    /// Takes code that can't be used out.
    pub fn discard(&self, key: &Key) {
        let _ = fs::remove_file(self.path(key, CODE));
    }

    fn is_quick(&self, key: &Key) -> bool {
        self.path(key, QUICK).exists()
    }

    fn is_locked(&self, key: &Key) -> bool {
        File::open(self.path(key, LOCK))
            .is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockShared).is_err())
    }

    fn path(&self, key: &Key, extension: &str) -> PathBuf {
        self.folder.join(format!("{key}.{extension}"))
    }
}

/// Removes a file; whether it was there.
fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        removed => removed.at("can't remove", path).map(|()| true),
    }
}
