use std::path::Path;
use std::time::Duration;

use crate::cgroup::{Cgroup, Version};
use crate::error::{Context, Error, Result};
use crate::metrics::files::{table, text};

/// How long the processes of a container may take to stand still.
const FROZEN_WITHIN: Duration = Duration::from_secs(2);

/// Stops all processes of a cgroup, and those below it, where they are.
pub async fn freeze(cgroup: &Cgroup) -> Result<()> {
    let folder = folder(cgroup)?;
    write(cgroup, folder, true)?;
    let deadline = tokio::time::Instant::now() + FROZEN_WITHIN;
    // v1 tells nobody when it is done.
    while !is_frozen(cgroup, folder) {
        if tokio::time::Instant::now() > deadline {
            write(cgroup, folder, false)?;
            return Err(Error::Launch(format!(
                "the processes in {} did not stop within {FROZEN_WITHIN:?}",
                folder.display()
            )));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

pub fn thaw(cgroup: &Cgroup) -> Result<()> {
    write(cgroup, folder(cgroup)?, false)
}

fn folder(cgroup: &Cgroup) -> Result<&Path> {
    cgroup.controller("freezer").ok_or(Error::Unimplemented(
        "pausing where the kernel has no cgroup freezer",
    ))
}

fn write(cgroup: &Cgroup, folder: &Path, frozen: bool) -> Result<()> {
    let (file, text) = match (cgroup.version, frozen) {
        (Version::V1, true) => ("freezer.state", "FROZEN"),
        (Version::V1, false) => ("freezer.state", "THAWED"),
        (Version::V2, true) => ("cgroup.freeze", "1"),
        (Version::V2, false) => ("cgroup.freeze", "0"),
    };
    let path = folder.join(file);
    std::fs::write(&path, text).at("can't write", path)
}

fn is_frozen(cgroup: &Cgroup, folder: &Path) -> bool {
    match cgroup.version {
        Version::V1 => {
            text(Some(folder), "freezer.state").is_some_and(|state| state.trim() == "FROZEN")
        }
        Version::V2 => table(Some(folder), "cgroup.events").get("frozen") == Some(&1),
    }
}
