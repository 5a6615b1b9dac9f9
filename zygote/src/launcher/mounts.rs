use std::path::Path;

use oci::spec::Mount;
use oci::{Bundle, Files};
use rustix::fs::{FileType, OFlags, fstat};

/// Looks for what is wrong with the bind mounts of a container that could not
/// be made; `None` if it finds nothing. Says it in one sentence.
pub fn explain(bundle: &Bundle) -> Option<String> {
    let files = Files::of(bundle);
    let mounts = bundle.spec.mounts().iter().flatten();
    mounts
        .filter(|mount| oci::is_bind(mount))
        .find_map(|mount| explain_one(bundle, &files, mount))
}

fn explain_one(bundle: &Bundle, files: &Files<'_>, mount: &Mount) -> Option<String> {
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
    let there = kind_in(files, mount.destination())?;
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

/// What lies at a path of the rootfs, below the mounts.
fn kind_in(files: &Files<'_>, path: &Path) -> Option<FileType> {
    let place = files.open_in_root(path, OFlags::PATH).ok()?;
    Some(FileType::from_raw_mode(fstat(place).ok()?.st_mode))
}
