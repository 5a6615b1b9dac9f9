//! What /proc tells about processes. In the sandbox, these are ours alone.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// One process, as it looked at one moment.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: u32,
    pub command_line: String,
}

/// All processes of this pid namespace, zombies included.
pub fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(read).collect()
}

fn read(pid: u32) -> Option<Process> {
    let bytes = fs::read(proc(pid).join("cmdline")).ok()?;
    let mut command_line = String::from_utf8_lossy(&bytes).replace('\0', " ");
    if command_line.is_empty() {
        // A zombie has no command line; its name is better than nothing.
        command_line = format!(
            "[{}]",
            fs::read_to_string(proc(pid).join("comm")).ok()?.trim()
        );
    }
    Some(Process {
        pid,
        command_line: command_line.trim().into(),
    })
}

/// The command line of one process.
pub fn command_line(pid: u32) -> Option<String> {
    read(pid).map(|process| process.command_line)
}

/// The shims of a namespace that are running now. The first field of their
/// pid is theirs for as long as the caller sees it listed again.
pub fn shims(namespace: &str) -> Vec<Process> {
    let flag = format!("-namespace {namespace} ");
    let mut shims = all();
    shims.retain(|process| process.command_line.contains("containerd-shim-"));
    shims.retain(|process| format!("{} ", process.command_line).contains(&flag));
    shims
}

/// The shim that was started for this container, in whichever namespace.
pub fn shim_of(id: &str) -> Option<Process> {
    let flag = format!("-id {id} ");
    all().into_iter().find(|process| {
        let line = format!("{} ", process.command_line);
        line.contains("containerd-shim-") && line.contains(&flag)
    })
}

pub fn exists(pid: u32) -> bool {
    proc(pid).exists()
}

/// Where each open descriptor of a process leads, by number.
pub fn descriptors(pid: u32) -> Vec<(u32, PathBuf)> {
    let folder = proc(pid).join("fd");
    read_descriptors(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

/// The same of one that may have ended: nothing then.
pub fn descriptors_if_alive(pid: u32) -> Vec<(u32, PathBuf)> {
    read_descriptors(&proc(pid).join("fd")).unwrap_or_default()
}

fn read_descriptors(folder: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let entries = fs::read_dir(folder)?;
    let mut open: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(entry.path()).ok()?))
        })
        .collect();
    open.sort();
    Ok(open)
}

/// The name of a process's first thread.
pub fn name(pid: u32) -> Option<String> {
    status(pid, "Name")
}

/// The parent of a process, as this pid namespace numbers it.
pub fn parent(pid: u32) -> Option<u32> {
    status(pid, "PPid")?.parse().ok()
}

/// The field of /proc/PID/status with this name, trimmed.
pub fn status(pid: u32, field: &str) -> Option<String> {
    let status = fs::read_to_string(proc(pid).join("status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().into())
}

pub fn proc(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}
