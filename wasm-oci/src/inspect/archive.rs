//! The members of an archive, found by name.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Error, Result};

/// An archive on disk. Its bytes are read when they are asked for.
#[derive(Debug)]
pub struct Archive {
    file: File,
    members: HashMap<String, Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    size: u64,
}

impl Archive {
    pub fn open(path: &Path) -> Result<Self> {
        let read_error = |source| Error::Read {
            path: path.into(),
            source,
        };
        let no_archive = |reason: String| Error::NotAnArchive {
            path: path.into(),
            reason,
        };
        let file = File::open(path).map_err(read_error)?;
        let metadata = file.metadata().map_err(read_error)?;
        if !metadata.is_file() {
            return Err(no_archive("it is no file".into()));
        }
        let mut head = [0; 4];
        let count = file.read_at(&mut head, 0).map_err(read_error)?;
        if let Some(how) = compression(&head[..count]) {
            return Err(no_archive(format!(
                "it is compressed with {how}; unpack it first"
            )));
        }
        let members = members(&file).map_err(|error| no_archive(error.to_string()))?;
        let end = metadata.len();
        let is_whole = |place: &&Place| {
            place
                .offset
                .checked_add(place.size)
                .is_some_and(|at| at <= end)
        };
        if members.values().filter(is_whole).count() < members.len() {
            return Err(no_archive("it is cut short".into()));
        }
        Ok(Self { file, members })
    }

    /// The bytes of a member, if there is one of this name.
    pub fn member(&self, name: &str) -> Option<Member<'_>> {
        let place = *self.members.get(name)?;
        Some(Member {
            file: &self.file,
            place,
        })
    }
}

/// Links are left out: what Docker writes since it writes the OCI layout has none.
fn members(file: &File) -> io::Result<HashMap<String, Place>> {
    let mut members = HashMap::new();
    for entry in tar::Archive::new(file).entries_with_seek()? {
        let entry = entry?;
        if entry.header().entry_type().is_file() {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let place = Place {
                offset: entry.raw_file_position(),
                size: entry.size(),
            };
            let name = name.strip_prefix("./").unwrap_or(&name);
            members.insert(name.to_owned(), place);
        }
    }
    Ok(members)
}

/// How bytes that begin like this are compressed, if they are.
pub fn compression(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        _ => None,
    }
}

/// One member, read from its beginning to its end.
#[derive(Debug)]
pub struct Member<'a> {
    file: &'a File,
    place: Place,
}

impl Member<'_> {
    /// How many bytes are left to read; all of them, at first.
    pub fn size(&self) -> u64 {
        self.place.size
    }
}

impl Read for Member<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = usize::try_from(self.place.size).unwrap_or(usize::MAX);
        let limit = buffer.len().min(limit);
        let count = self.file.read_at(&mut buffer[..limit], self.place.offset)?;
        self.place.offset += count as u64;
        self.place.size -= count as u64;
        Ok(count)
    }
}
