//! Native code of modules, seen from the host.

use std::fs;
use std::path::{Path, PathBuf};

use crate::processes;

pub const STORE: &str = "/var/lib/containerd-shim-wasm/cache";

/// The native code of the store that a process has mapped to run.
pub fn code_of(pid: u32) -> Option<PathBuf> {
    let maps = fs::read_to_string(processes::proc(pid).join("maps")).expect("maps");
    let line = maps
        .lines()
        .find(|line| line.contains("r-xp") && line.contains("/cache/"))?;
    let name = Path::new(line.split_whitespace().last()?).file_name()?;
    Some(Path::new(STORE).join(name))
}
