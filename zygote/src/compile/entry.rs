use std::fs::{self, File};
use std::io::{ErrorKind, copy};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, Result};

/// How many bytes of code the store may hold; what was used longest ago goes.
const CAPACITY: u64 = 2 << 30;

/// One key's place in the store, which is this process's alone.
pub struct Entry {
    store: PathBuf,
    key: String,
    /// Locked for as long as it is open.
    _lock: File,
}

impl Entry {
    /// `None` if somebody else compiles for this key, or has. `wait` waits for
    /// who does.
    pub fn claim(store: &Path, key: &str, wait: bool) -> Result<Option<Self>> {
        let path = store.join(format!("{key}.lock"));
        let lock = File::create(&path).at(&path)?;
        let how = if wait {
            FlockOperation::LockExclusive
        } else {
            FlockOperation::NonBlockingLockExclusive
        };
        if flock(&lock, how).is_err() {
            return Ok(None);
        }
        let entry = Self {
            store: store.to_owned(),
            key: key.to_owned(),
            _lock: lock,
        };
        let is_done = entry.path("so").exists() || entry.path("failed").exists();
        Ok((!is_done).then_some(entry))
    }

    pub fn folder(&self) -> &Path {
        &self.store
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.store.join(format!("{}.{extension}", self.key))
    }

    /// Puts code there, whole or not at all.
    pub fn store(&self, mut code: File) -> Result<()> {
        let (fresh, path) = (self.path("part"), self.path("so"));
        let mut file = File::create(&fresh).at(&fresh)?;
        let stored = copy(&mut code, &mut file)
            // Guests map it as the users that they are.
            .and_then(|_| file.set_permissions(fs::Permissions::from_mode(0o444)))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&fresh, &path))
            .at(&path);
        if stored.is_err() {
            let _ = fs::remove_file(fresh);
        }
        stored?;
        make_room(&self.store, CAPACITY)
    }

    /// A module that can't be compiled is not tried again.
    pub fn note_failure(&self, reason: &str) -> Result<()> {
        let path = self.path("failed");
        fs::write(&path, format!("{reason}\n")).at(&path)
    }
}

/// Removes what was used longest ago until the rest fits.
fn make_room(store: &Path, capacity: u64) -> Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(store).at(store)?.flatten() {
        // Gone meanwhile, or not code.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if entry.path().extension().is_some_and(|kind| kind == "so") {
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            entries.push((used, metadata.len(), entry.path()));
        }
    }
    entries.sort();
    let mut total: u64 = entries.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in entries {
        if total <= capacity {
            break;
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).at(&path),
            _ => total -= size,
        }
    }
    Ok(())
}

trait At<T> {
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Write {
            path: path.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(name: &str) -> PathBuf {
        let store = std::env::temp_dir().join(format!("store-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&store);
        fs::create_dir_all(&store).unwrap();
        store
    }

    #[test]
    fn a_key_is_claimed_once_and_not_again_when_it_is_done() {
        let store = store("claim");
        let entry = Entry::claim(&store, "k", false).unwrap().expect("free");
        assert!(
            Entry::claim(&store, "k", false).unwrap().is_none(),
            "being done"
        );
        drop(entry);
        let entry = Entry::claim(&store, "k", false).unwrap().expect("given up");
        entry.note_failure("why").unwrap();
        drop(entry);
        assert!(Entry::claim(&store, "k", false).unwrap().is_none(), "done");
        fs::remove_dir_all(store).unwrap();
    }

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let store = store("room");
        for (age, name) in [(30, "old.so"), (10, "new.so"), (20, "middle.so")] {
            let file = File::create(store.join(name)).unwrap();
            file.set_len(100).unwrap();
            let used = SystemTime::now() - std::time::Duration::from_secs(age);
            file.set_modified(used).unwrap();
        }
        make_room(&store, 150).unwrap();
        let left: Vec<_> = fs::read_dir(&store).unwrap().flatten().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].file_name(), "new.so");
        fs::remove_dir_all(store).unwrap();
    }
}
