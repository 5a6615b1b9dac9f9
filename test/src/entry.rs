//! The files of an image layer.

use std::fs;
use std::path::Path;

use tar::{Builder, EntryType, Header};

/// One file or folder of a layer. Times are zero, so that the same entries
/// make the same layer.
#[derive(Debug, Clone)]
pub struct Entry {
    path: String,
    mode: u32,
    content: Option<Vec<u8>>,
    target: Option<String>,
}

impl Entry {
    pub fn file(path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            mode,
            content: Some(content.into()),
            target: None,
        }
    }

    /// A file with the content of one on this machine.
    pub fn copy(path: &str, mode: u32, from: &Path) -> Self {
        let content = fs::read(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        Self::file(path, mode, content)
    }

    pub fn folder(path: &str, mode: u32) -> Self {
        Self {
            path: path.into(),
            mode,
            content: None,
            target: None,
        }
    }

    /// A symbolic link.
    pub fn link(path: &str, target: &str) -> Self {
        Self {
            path: path.into(),
            mode: 0o777,
            content: None,
            target: Some(target.into()),
        }
    }
}

/// The uncompressed tar archive of these entries.
pub fn layer(entries: &[Entry]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for entry in entries {
        if let Some(target) = &entry.target {
            let mut header = header(EntryType::Symlink, entry.mode, 0);
            archive
                .append_link(&mut header, relative(&entry.path), target)
                .expect("a tar archive in memory");
            continue;
        }
        let content = entry.content.as_deref().unwrap_or_default();
        let kind = if entry.content.is_some() {
            EntryType::Regular
        } else {
            EntryType::Directory
        };
        append(&mut archive, &entry.path, kind, entry.mode, content);
    }
    archive.into_inner().expect("a tar archive in memory")
}

/// Adds one member, owned by root, with no time.
pub fn append(
    archive: &mut Builder<Vec<u8>>,
    path: &str,
    kind: EntryType,
    mode: u32,
    content: &[u8],
) {
    let mut header = header(kind, mode, content.len() as u64);
    archive
        .append_data(&mut header, relative(path), content)
        .expect("a tar archive in memory");
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}
