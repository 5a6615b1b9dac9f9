use std::time::SystemTime;

use indicatif::{HumanBytes, HumanDuration};
use serde::Serialize;
use store::{Entry, Key, State, Store};

use crate::inspect::clean;

/// How much of a hash is shown; enough for any number of modules.
const SHORT: usize = 16;

pub fn short(key: &Key) -> &str {
    let module = key.module();
    module.get(..SHORT).unwrap_or(module)
}

/// One module in each line.
pub fn text(store: &Store, entries: &[Entry], platform: &str) -> String {
    let mut text = format!("{:SHORT$} {:>11} {:>12} STATE\n", "MODULE", "SIZE", "USED");
    for entry in entries {
        text += &format!(
            "{:SHORT$} {:>11} {:>12} {}\n",
            short(&entry.key),
            HumanBytes(entry.size).to_string(),
            ago(entry.used),
            state(store, entry, platform)
        );
    }
    let total: u64 = entries.iter().map(|entry| entry.size).sum();
    let (total, most) = (HumanBytes(total), HumanBytes(store::CAPACITY));
    text + &format!("{total} of {most} in {}\n", store.folder().display())
}

fn ago(used: Option<SystemTime>) -> String {
    let since = used.and_then(|used| SystemTime::now().duration_since(used).ok());
    since.map_or_else(|| "-".into(), |since| HumanDuration(since).to_string())
}

fn state(store: &Store, entry: &Entry, platform: &str) -> String {
    let busy = store.is_busy(&entry.key);
    let state = match &entry.state {
        State::Best => "native code".into(),
        State::Quick if busy => "native code, quickly made; better is being made".into(),
        State::Quick => "native code, quickly made".into(),
        State::Failed(reason) => format!("can't be compiled: {}", clean(reason)),
        State::Empty if busy => "being compiled".into(),
        State::Empty => "nothing: a compiler was ended".into(),
    };
    match entry.key.platform() == platform {
        true => state,
        false => format!("{state} (for another WasmEdge or CPU)"),
    }
}

#[derive(Serialize)]
struct Row<'a> {
    module: &'a str,
    /// WasmEdge's version and the CPU.
    platform: &'a str,
    usable: bool,
    size: u64,
    /// Seconds since 1970.
    used: Option<u64>,
    /// `best`, `quick`, `failed` or `empty`.
    state: &'static str,
    reason: Option<&'a str>,
    /// Somebody makes code for it now.
    busy: bool,
}

pub fn json(store: &Store, entries: &[Entry], platform: &str) -> String {
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            let since = |used: SystemTime| used.duration_since(SystemTime::UNIX_EPOCH).ok();
            let (state, reason) = match &entry.state {
                State::Best => ("best", None),
                State::Quick => ("quick", None),
                State::Failed(reason) => ("failed", Some(reason.as_str())),
                State::Empty => ("empty", None),
            };
            Row {
                module: entry.key.module(),
                platform: entry.key.platform(),
                usable: entry.key.platform() == platform,
                size: entry.size,
                used: entry.used.and_then(since).map(|since| since.as_secs()),
                state,
                reason,
                busy: store.is_busy(&entry.key),
            }
        })
        .collect();
    serde_json::to_string_pretty(&rows).expect("keys are strings") + "\n"
}
