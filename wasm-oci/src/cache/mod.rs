//! `wasm-oci cache`.

mod listing;

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use store::{Entry, State, Store};

use crate::cli::Cache;
use crate::error::{Error, Result};
use crate::zygote::Zygote;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub fn run(options: &Cache) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let store = Store::at(store::FOLDER);
    let platform = Zygote::find()?.platform()?;
    let entries = store.list()?;
    let text = match options {
        Cache::Ls { json: true } => listing::json(&store, &entries, &platform),
        Cache::Ls { json: false } => listing::text(&store, &entries, &platform),
        Cache::Rm { modules, all } => {
            let mut gone = named(&entries, modules)?;
            gone.extend(entries.iter().filter(|_| *all));
            for entry in &gone {
                store.remove(&entry.key)?;
            }
            removed(&gone)
        }
        Cache::Prune { unused_days } => {
            let before = unused_days.and_then(|days| since(SystemTime::now(), days));
            let mut gone = Vec::new();
            for entry in &entries {
                // It may be used, or made, just now.
                let is_useless = |entry: &Entry| is_useless(entry, &platform, before);
                if is_useless(entry) && store.remove_if(&entry.key, is_useless)? {
                    gone.push(entry);
                }
            }
            removed(&gone)
        }
    };
    // A reader that has seen enough, such as head, is no failure.
    drop(io::stdout().write_all(text.as_bytes()));
    Ok(())
}

fn since(now: SystemTime, days: u64) -> Option<SystemTime> {
    now.checked_sub(DAY.checked_mul(u32::try_from(days).ok()?)?)
}

/// What the hashes name, each of which must name one module.
fn named<'a>(entries: &'a [Entry], hashes: &[String]) -> Result<Vec<&'a Entry>> {
    let mut named = Vec::new();
    for hash in hashes {
        let of_hash = |entry: &&Entry| entry.key.module().starts_with(hash.as_str());
        let found: Vec<_> = entries.iter().filter(of_hash).collect();
        // One module may have code for several CPUs and WasmEdges.
        let mut modules: Vec<_> = found.iter().map(|entry| entry.key.module()).collect();
        modules.sort_unstable();
        modules.dedup();
        match modules.len() {
            0 => return Err(Error::NotCached(hash.clone())),
            1 => named.extend(found),
            count => {
                let hash = hash.clone();
                return Err(Error::Ambiguous { hash, count });
            }
        }
    }
    Ok(named)
}

/// `before`: what was used last before that is useless too.
fn is_useless(entry: &Entry, platform: &str, before: Option<SystemTime>) -> bool {
    let is_old = before
        .zip(entry.used)
        .is_some_and(|(before, used)| used < before);
    is_old || entry.state == State::Empty || entry.key.platform() != platform
}

fn removed(gone: &[&Entry]) -> String {
    let lines = gone
        .iter()
        .map(|entry| format!("removed {}\n", listing::short(&entry.key)));
    let freed: u64 = gone.iter().map(|entry| entry.size).sum();
    lines.collect::<String>() + &format!("freed {}\n", indicatif::HumanBytes(freed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Key;

    fn entry(key: &str, state: State) -> Entry {
        Entry {
            key: Key::parse(key).unwrap(),
            size: 1,
            used: Some(SystemTime::UNIX_EPOCH + 10 * DAY),
            state,
        }
    }

    #[test]
    fn a_hash_names_one_module() {
        let keys = ["1-a-1234", "2-a-1234", "1-a-1256", "1-a-99"];
        let entries = keys.map(|key| entry(key, State::Best));
        let count = |hashes: &[&str]| {
            let hashes: Vec<_> = hashes.iter().map(|hash| (*hash).to_owned()).collect();
            named(&entries, &hashes).map(|found| found.len())
        };
        assert_eq!(count(&["123"]).unwrap(), 2);
        assert_eq!(count(&["1256", "9"]).unwrap(), 2);
        assert!(matches!(
            count(&["12"]),
            Err(Error::Ambiguous { count: 2, .. })
        ));
        assert!(matches!(count(&["7"]), Err(Error::NotCached(_))));
    }

    #[test]
    fn what_can_not_be_used_is_useless() {
        let useless = |key, state, before| is_useless(&entry(key, state), "1-a", before);
        assert!(!useless("1-a-1", State::Best, None));
        assert!(!useless("1-a-1", State::Failed("why".into()), None));
        assert!(useless("2-a-1", State::Best, None));
        assert!(useless("1-a-1", State::Empty, None));
        let day = |days| since(SystemTime::UNIX_EPOCH + 20 * DAY, days);
        assert!(useless("1-a-1", State::Best, day(9)));
        assert!(!useless("1-a-1", State::Best, day(11)));
        assert_eq!(since(SystemTime::UNIX_EPOCH, u64::MAX), None);
    }
}
