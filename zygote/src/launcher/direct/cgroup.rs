use std::fs;
use std::path::Path;

use ipc::CgroupFolder;

use super::{Plan, limits};
use crate::error::{Error, Result};

/// Makes the container's cgroup of version 1, with its limits.
///
/// A process gets into it by [`join`], which takes 0.03 ms. To be put there by
/// its pid, as libcontainer has it, takes 10 ms: the kernel then waits until no
/// process can be forking any more.
pub fn make(plan: &Plan<'_>) -> Result<()> {
    for folder in plan.cgroup {
        fs::create_dir_all(&folder.path).map_err(|source| write_error(&folder.path, source))?;
        if folder.controllers.iter().any(|name| name == "cpuset") {
            inherit(&folder.path, "cpuset.cpus")?;
            inherit(&folder.path, "cpuset.mems")?;
        }
    }
    limits::set(plan)
}

/// Puts the calling process, which has one thread, into the cgroup.
pub fn join(cgroup: &[CgroupFolder]) -> Result<()> {
    for folder in cgroup {
        let path = folder.path.join("tasks");
        fs::write(&path, "0").map_err(|source| write_error(&path, source))?;
    }
    Ok(())
}

/// A cpuset begins empty, and takes no process before it has what its parent
/// has.
fn inherit(folder: &Path, file: &str) -> Result<()> {
    let path = folder.join(file);
    let read = |path: &Path| fs::read_to_string(path);
    let own = read(&path).map_err(|source| write_error(&path, source))?;
    let Some(parent) = folder.parent().filter(|_| own.trim().is_empty()) else {
        return Ok(());
    };
    inherit(parent, file)?;
    let value = read(&parent.join(file)).map_err(|source| write_error(&path, source))?;
    fs::write(&path, value.trim()).map_err(|source| write_error(&path, source))
}

fn write_error(path: &Path, source: std::io::Error) -> Error {
    Error::Write {
        path: path.to_owned(),
        source,
    }
}
