use std::path::Path;

use oci::Bundle;
use oci::spec::Mount;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};

/// Looks for what is wrong with the bind mounts of a container that could not
/// be made; `None` if it finds nothing. Says it in one sentence.
pub fn explain(bundle: &Bundle) -> Option<String> {
    let rootfs = bundle.rootfs().ok()?;
    let mounts = bundle.spec.mounts().iter().flatten();
    mounts
        .filter(|mount| oci::is_bind(mount))
        .find_map(|mount| explain_one(bundle, &rootfs, mount))
}

fn explain_one(bundle: &Bundle, rootfs: &Path, mount: &Mount) -> Option<String> {
    let source = bundle.path.join(mount.source().as_ref()?);
    let (shown, destination) = (source.display(), mount.destination().display());
    let metadata = match source.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Some(format!(
                "mount source {shown}, for {destination} in the container, does not exist: \
                 make it, or correct the mount"
            ));
        }
        Err(error) => {
            return Some(format!(
                "mount source {shown}, for {destination} in the container, can't be used: {error}"
            ));
        }
    };
    let there = kind_in(rootfs, mount.destination())?;
    match (metadata.is_dir(), there == FileType::Directory) {
        (true, false) => Some(format!(
            "mount source {shown} is a folder, but {destination} in the container is a file: \
             mount a file there, or the folder elsewhere"
        )),
        (false, true) => Some(format!(
            "mount source {shown} is a file, but {destination} in the container is a folder: \
             mount a folder there, or the file on a path below it"
        )),
        _ => None,
    }
}

/// What lies at a path of the container, whose links lead nowhere outside.
fn kind_in(rootfs: &Path, path: &Path) -> Option<FileType> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = open(rootfs, flags | OFlags::DIRECTORY, Mode::empty()).ok()?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let place = openat2(&root, path, flags, Mode::empty(), resolve).ok()?;
    Some(FileType::from_raw_mode(fstat(place).ok()?.st_mode))
}
