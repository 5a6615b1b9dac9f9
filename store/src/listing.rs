use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::time::SystemTime;

use crate::error::{At, Result};
use crate::{CODE, FAILED, Key, LOCK, PART, QUICK, Store, remove};

/// What the store has of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    /// Of the code, in bytes; 0 if there is none.
    pub size: u64,
    /// When the code was used last, or found impossible to make.
    pub used: Option<SystemTime>,
    pub state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Code as good as it gets.
    Best,
    /// Code that was made in a short time.
    Quick,
    /// Nothing can be made, for this reason.
    Failed(String),
    /// Nothing is there but what a compiler that was ended has left, or one at
    /// work has.
    Empty,
}

impl Store {
    /// All that is there, by key. None if there is no store.
    pub fn list(&self) -> Result<Vec<Entry>> {
        let files = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            files => files.at("can't read", &self.folder)?,
        };
        let keys: BTreeSet<Key> = files
            .flatten()
            .filter_map(|file| key_of(&file.file_name().to_string_lossy()))
            .collect();
        Ok(keys.into_iter().map(|key| self.entry(key)).collect())
    }

    fn entry(&self, key: Key) -> Entry {
        let metadata = |extension| fs::metadata(self.path(&key, extension)).ok();
        let code = metadata(CODE);
        let state = match (&code, self.failure(&key)) {
            (Some(_), _) if self.is_quick(&key) => State::Quick,
            (Some(_), _) => State::Best,
            (None, Some(reason)) => State::Failed(reason),
            (None, None) => State::Empty,
        };
        let seen = code.clone().or_else(|| metadata(FAILED));
        Entry {
            size: code.map_or(0, |code| code.len()),
            used: seen.and_then(|file| file.modified().ok()),
            state,
            key,
        }
    }

    /// Whether code is being made for this key.
    pub fn is_busy(&self, key: &Key) -> bool {
        self.is_locked(key)
    }

    /// Removes all of a key, but for what somebody is at work on. Guests that
    /// have mapped the code keep it.
    pub fn remove(&self, key: &Key) -> Result<()> {
        for extension in [CODE, QUICK, FAILED] {
            remove(&self.path(key, extension))?;
        }
        // Who makes code for it now goes on, and will put it there.
        self.remove_if(key, |_| true).map(drop)
    }

    /// Removes all of a key if that is useless, and nobody is at work on it.
    pub fn remove_if(&self, key: &Key, is_useless: impl Fn(&Entry) -> bool) -> Result<bool> {
        let Some(_lock) = self.lock(key, false)? else {
            return Ok(false);
        };
        if !is_useless(&self.entry(key.clone())) {
            return Ok(false);
        }
        // The lock last: who comes now waits until all is gone.
        for extension in [CODE, QUICK, FAILED, PART, LOCK] {
            remove(&self.path(key, extension))?;
        }
        Ok(true)
    }
}

fn key_of(file: &str) -> Option<Key> {
    let (key, extension) = file.rsplit_once('.')?;
    let is_ours = [CODE, QUICK, FAILED, LOCK, PART].contains(&extension);
    is_ours.then(|| Key::parse(key)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quality;
    use crate::testing::{code, key, store};

    #[test]
    fn what_is_there_is_listed_and_removed() {
        let (_folder, store) = store();
        let claim = |module| store.claim(&key(module), false).unwrap().expect("free");
        claim(1).put(code(), Quality::Best).unwrap();
        claim(2).put(code(), Quality::Quick).unwrap();
        claim(3).note_failure("too hard").unwrap();
        let busy = claim(4);
        let states = || {
            let entries = store.list().unwrap().into_iter();
            entries
                .map(|entry| (entry.size, entry.state))
                .collect::<Vec<_>>()
        };
        let failed = State::Failed("too hard".into());
        let all = [
            (100, State::Best),
            (100, State::Quick),
            (0, failed),
            (0, State::Empty),
        ];
        assert_eq!(states(), all);
        assert!(store.is_busy(&key(4)) && !store.is_busy(&key(2)));
        for module in 1..=4 {
            store.remove(&key(module)).unwrap();
        }
        assert_eq!(states(), [(0, State::Empty)], "somebody is at it");
        let is_empty = |entry: &Entry| entry.state == State::Empty;
        assert!(!store.remove_if(&key(4), is_empty).unwrap(), "and still is");
        drop(busy);
        assert!(!store.remove_if(&key(4), |_| false).unwrap());
        assert!(store.remove_if(&key(4), is_empty).unwrap());
        assert_eq!(fs::read_dir(store.folder()).unwrap().count(), 0);
        let none = Store::at("/no/such/store");
        assert_eq!(none.list().unwrap(), []);
    }
}
