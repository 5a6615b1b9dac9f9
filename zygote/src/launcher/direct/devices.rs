//! The devices that every container has, those of `linux.devices`, and the
//! links that go with them (OCI runtime spec, "config-linux.md", "Default
//! Devices", and "runtime-linux.md", "Dev symbolic links").

use std::path::Path;

use libcontainer::rootfs::utils::{default_devices, to_sflag};
use oci::spec::{Linux, LinuxDevice};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Uid, chownat, makedev, mknodat, symlinkat, unlinkat,
};
use rustix::io::{Errno, Result};

use super::root::Root;
use crate::error::chain;

/// Of no use without /proc, but where programs expect them.
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "dev/fd"),
    ("/proc/self/fd/0", "dev/stdin"),
    ("/proc/self/fd/1", "dev/stdout"),
    ("/proc/self/fd/2", "dev/stderr"),
];

/// Makes them all. The calling process's umask is to be 0.
pub fn make(root: &Root, linux: &Linux) -> std::result::Result<(), String> {
    for (target, link) in LINKS {
        make_link(root, target, link).map_err(|error| said(Path::new(link), &error))?;
    }
    let added = linux.devices().as_deref().unwrap_or_default();
    let defaults = default_devices();
    let is_added = |device: &&LinuxDevice| added.iter().any(|added| added.path() == device.path());
    let defaults = defaults.iter().filter(|device| !is_added(device));
    for device in added.iter().chain(defaults) {
        make_device(root, device).map_err(|error| said(device.path(), &error))?;
    }
    let ptmx = Path::new("dev/ptmx");
    remove(root, ptmx)
        .and_then(|()| make_link(root, "pts/ptmx", "dev/ptmx"))
        .map_err(|error| said(ptmx, &error))
}

fn make_link(root: &Root, target: &str, link: &str) -> Result<()> {
    let (parent, name) = root.parent(Path::new(link))?;
    unless_there(symlinkat(target, &parent, name))
}

/// The image may have it already.
fn unless_there(made: Result<()>) -> Result<()> {
    match made {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

fn remove(root: &Root, path: &Path) -> Result<()> {
    let (parent, name) = root.parent(path)?;
    match unlinkat(&parent, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        removed => removed,
    }
}

fn make_device(root: &Root, device: &LinuxDevice) -> Result<()> {
    let (parent, name) = root.parent(device.path())?;
    let kind = FileType::from_raw_mode(to_sflag(device.typ()).bits());
    let mode = Mode::from(device.file_mode().unwrap_or(0o666));
    let number = |number: i64| u32::try_from(number).map_err(|_| Errno::INVAL);
    let number = makedev(number(device.major())?, number(device.minor())?);
    unless_there(mknodat(&parent, name, kind, mode, number))?;
    let (user, group) = (device.uid(), device.gid());
    if user.is_none() && group.is_none() {
        return Ok(());
    }
    chownat(
        &parent,
        name,
        user.map(Uid::from_raw),
        group.map(Gid::from_raw),
        AtFlags::SYMLINK_NOFOLLOW,
    )
}

fn said(path: &Path, error: &Errno) -> String {
    format!("{} can't be made: {}", path.display(), chain(error))
}
