//! Changes of files that are whole at each moment, whenever we are killed.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

use crate::error::{At, Error, Result};

/// Ends the names of files that are being written. Not `.toml`: containerd
/// imports by patterns.
const UNFINISHED: &str = ".wasm-node-installer";

/// Where a file is written before it gets its name. Always the same, so that one
/// that a crash left is written over, and can be found at the end.
pub fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}{UNFINISHED}"))
}

/// Writes a file beside its place, with the mode and the owner of the file that
/// is there, all of it on the disk.
pub fn prepare(path: &Path, content: &[u8]) -> Result<PathBuf> {
    let new = unfinished(path);
    remove(&new)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&new)
        .at("can't make", &new)?;
    file.write_all(content).at("can't write", &new)?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
            .at("can't set the mode of", &new)?;
        fchown(&file, Some(old.uid()), Some(old.gid())).at("can't set the owner of", &new)?;
    }
    file.sync_all().at("can't write", &new)?;
    Ok(new)
}

/// Gives a file that was prepared its name.
pub fn commit(path: &Path) -> Result<()> {
    fs::rename(unfinished(path), path).at("can't replace", path)?;
    sync_folder(path)
}

pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    prepare(path, content)?;
    commit(path)
}

/// Points a link somewhere else, or makes it.
pub fn relink(link: &Path, target: &Path) -> Result<()> {
    let new = unfinished(link);
    remove(&new)?;
    symlink(target, &new).at("can't make", &new)?;
    commit(link)
}

/// Removes a file or link, if it is there.
pub fn remove(path: &Path) -> Result<()> {
    // A read-only file system refuses even what there is not to be removed.
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Ok(());
    }
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).at("can't remove", path),
    }
}

/// Removes a folder with all that is in it, if it is there.
pub fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).at("can't remove", path),
    }
}

/// The folders that are missing above a file, the highest first.
pub fn missing_parents(path: &Path) -> Vec<PathBuf> {
    let mut missing: Vec<_> = path
        .ancestors()
        .skip(1)
        .take_while(|folder| !folder.exists())
        .map(PathBuf::from)
        .collect();
    missing.reverse();
    missing
}

pub fn make_parents(path: &Path) -> Result<()> {
    let parent = path.parent().ok_or_else(|| Error::invalid("no folder"))?;
    fs::create_dir_all(parent).at("can't make", parent)
}

/// What a rename has done is on the disk when its folder is.
pub fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let opened = File::open(folder).at("can't open", folder)?;
    opened.sync_all().at("can't write", folder)
}
