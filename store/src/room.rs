use crate::error::Result;
use crate::{CODE, QUICK, Store, remove};

impl Store {
    /// Removes what was used longest ago until the rest fits.
    pub fn make_room(&self, capacity: u64) -> Result<()> {
        let mut entries = self.list()?;
        entries.sort_by_key(|entry| entry.used);
        let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
        for entry in entries.iter().filter(|entry| entry.size > 0) {
            if total <= capacity {
                break;
            }
            remove(&self.path(&entry.key, CODE))?;
            remove(&self.path(&entry.key, QUICK))?;
            total -= entry.size;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use crate::Quality;
    use crate::testing::{code, key, store};

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let (_folder, store) = store();
        for (age, module) in [(30, 1), (10, 2), (20, 3)] {
            let claim = store.claim(&key(module), false).unwrap().expect("free");
            claim.put(code(), Quality::Best).unwrap();
            let used = SystemTime::now() - Duration::from_secs(age);
            let code = store.open(&key(module)).expect("just put there");
            code.set_modified(used).unwrap();
        }
        store.make_room(150).unwrap();
        let left = [1, 2, 3].map(|module| store.open(&key(module)).is_some());
        assert_eq!(left, [false, true, false]);
    }
}
