use std::fs::{self, File};
use std::io::copy;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::error::{At, Result};
use crate::{CAPACITY, CODE, FAILED, Key, LOCK, PART, QUICK, Store, remove};

/// The right to make code for one key, which is this process's alone.
#[derive(Debug)]
pub struct Claim {
    store: Store,
    key: Key,
    /// Locked for as long as it is open.
    _lock: File,
}

/// How well code was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// In a short time; better code is to follow.
    Quick,
    Best,
}

impl Store {
    /// `None` if somebody else makes code for this key, or if all is made that
    /// can be. `wait` waits for who does.
    pub fn claim(&self, key: &Key, wait: bool) -> Result<Option<Claim>> {
        let Some(lock) = self.lock(key, wait)? else {
            return Ok(None);
        };
        let has_best = self.path(key, CODE).exists() && !self.is_quick(key);
        let is_done = has_best || self.path(key, FAILED).exists();
        Ok((!is_done).then(|| Claim {
            store: self.clone(),
            key: key.clone(),
            _lock: lock,
        }))
    }

    /// `None` if it is locked, and not waited for.
    pub(crate) fn lock(&self, key: &Key, wait: bool) -> Result<Option<File>> {
        let path = self.path(key, LOCK);
        let how = if wait {
            FlockOperation::LockExclusive
        } else {
            FlockOperation::NonBlockingLockExclusive
        };
        loop {
            let lock = File::create(&path).at("can't make", &path)?;
            if flock(&lock, how).is_err() {
                return Ok(None);
            }
            // Who had it may have removed it with the entry.
            if is_at(&lock, &path) {
                return Ok(Some(lock));
            }
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let inode = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let (held, named) = (file.metadata().map(inode), fs::metadata(path).map(inode));
    held.is_ok_and(|held| named.is_ok_and(|named| named == held))
}

impl Claim {
    pub fn folder(&self) -> &Path {
        self.store.folder()
    }

    /// Whether there is code that was made quickly.
    pub fn has_quick(&self) -> bool {
        self.store.path(&self.key, CODE).exists()
    }

    /// Puts code there, whole or not at all.
    pub fn put(&self, mut code: File, quality: Quality) -> Result<()> {
        let path = |extension| self.store.path(&self.key, extension);
        let (part, whole, quick) = (path(PART), path(CODE), path(QUICK));
        if quality == Quality::Quick {
            File::create(&quick).at("can't write", &quick)?;
        }
        let mut file = File::create(&part).at("can't write", &part)?;
        let stored = copy(&mut code, &mut file)
            // Guests map it as the users that they are.
            .and_then(|_| file.set_permissions(fs::Permissions::from_mode(0o444)))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&part, &whole))
            .at("can't write", &whole);
        if stored.is_err() {
            let _ = fs::remove_file(part);
        }
        stored?;
        if quality == Quality::Best {
            remove(&quick)?;
        }
        self.store.make_room(CAPACITY)
    }

    /// A module that can't be compiled is not tried again.
    pub fn note_failure(&self, reason: &str) -> Result<()> {
        let path = self.store.path(&self.key, FAILED);
        fs::write(&path, format!("{reason}\n")).at("can't write", &path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{code, key, store};

    #[test]
    fn a_key_is_claimed_once_and_not_again_when_it_is_done() {
        let (_folder, store) = store();
        let key = key(1);
        let claim = store.claim(&key, false).unwrap().expect("free");
        assert!(
            store.claim(&key, false).unwrap().is_none(),
            "somebody is at it"
        );
        drop(claim);
        let claim = store.claim(&key, false).unwrap().expect("given up");
        claim.note_failure("why").unwrap();
        drop(claim);
        assert!(store.claim(&key, false).unwrap().is_none(), "done");
        assert_eq!(store.failure(&key).as_deref(), Some("why"));
    }

    /// As after the end of a machine between the two.
    #[test]
    fn quick_code_is_used_and_made_well_later() {
        let (_folder, store) = store();
        let key = key(1);
        let claim = store.claim(&key, false).unwrap().expect("free");
        assert!(!claim.has_quick());
        claim.put(code(), Quality::Quick).unwrap();
        assert!(store.open(&key).is_some());
        assert!(!store.is_left_quick(&key), "somebody is at it");
        drop(claim);
        assert!(store.is_left_quick(&key));
        let claim = store.claim(&key, false).unwrap().expect("not done");
        assert!(claim.has_quick());
        claim.put(code(), Quality::Best).unwrap();
        drop(claim);
        assert!(!store.is_left_quick(&key));
        assert!(store.claim(&key, false).unwrap().is_none(), "done");
    }

    #[test]
    fn a_lock_that_was_removed_is_none() {
        let (_folder, store) = store();
        let key = key(1);
        let lock = store.lock(&key, false).unwrap().expect("free");
        let path = store.path(&key, LOCK);
        assert!(is_at(&lock, &path));
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&lock, &path));
        let other = store.lock(&key, false).unwrap().expect("another file");
        assert!(is_at(&other, &path) && !is_at(&lock, &path));
    }
}
