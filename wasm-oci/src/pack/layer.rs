//! A tree as the bytes of a layer (OCI image spec, "layer.md").

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use tar::{Builder, EntryType, Header};

use super::output::write_error;
use super::tree::{Content, Kind, Tree};
use crate::error::{Error, Result};

/// Writes the uncompressed layer to `output`, a file at `place`.
pub fn write(tree: &Tree, output: impl Write, place: &Path) -> Result<()> {
    let mut archive = Builder::new(output);
    for (path, kind) in tree.iter() {
        append(&mut archive, path, kind, place)?;
    }
    archive
        .finish()
        .and_then(|()| archive.get_mut().flush())
        .map_err(|source| write_error(place, source))
}

fn append(archive: &mut Builder<impl Write>, path: &Path, kind: &Kind, place: &Path) -> Result<()> {
    let name = path.strip_prefix("/").unwrap_or(path);
    let written = match kind {
        Kind::Folder { mode } => {
            let mut header = header(EntryType::Directory, *mode, 0);
            // Ends with a slash, as all tar programs write folders.
            archive.append_data(&mut header, name.join(""), io::empty())
        }
        Kind::Symlink { target } => {
            let mut header = header(EntryType::Symlink, 0o777, 0);
            archive.append_link(&mut header, name, target)
        }
        Kind::File {
            mode,
            content: Content::Bytes(bytes),
        } => {
            let mut header = header(EntryType::Regular, *mode, bytes.len() as u64);
            archive.append_data(&mut header, name, bytes.as_slice())
        }
        Kind::File {
            mode,
            content: Content::Host(host, size),
        } => {
            let mut header = header(EntryType::Regular, *mode, *size);
            let mut file = Exact::open(host, *size)?;
            let written = archive.append_data(&mut header, name, &mut file);
            return match file.failure() {
                Some(error) => Err(error),
                None => written.map_err(|source| write_error(place, source)),
            };
        }
    };
    written.map_err(|source| write_error(place, source))
}

/// Nothing of the machine or of who packs.
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

/// A file that must have the size that the header said. Keeps its own errors,
/// as tar does not tell those of reading from those of writing.
struct Exact<'a> {
    path: &'a Path,
    file: File,
    left: u64,
    error: Option<io::Error>,
}

impl<'a> Exact<'a> {
    fn open(path: &'a Path, size: u64) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::Read {
            path: path.into(),
            source,
        })?;
        Ok(Self {
            path,
            file,
            left: size,
            error: None,
        })
    }

    fn failure(mut self) -> Option<Error> {
        if let Some(source) = self.error.take() {
            let path = self.path.into();
            return Some(Error::Read { path, source });
        }
        let more = self.file.read(&mut [0]).is_ok_and(|count| count > 0);
        (self.left > 0 || more).then(|| Error::Changed(self.path.into()))
    }
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        match self.file.read(&mut buffer[..limit]) {
            Ok(count) => {
                self.left -= count as u64;
                Ok(count)
            }
            // The reader tries again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.error = Some(error);
                Err(kind.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tar::Archive;

    use super::*;

    fn layer(tree: &Tree) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        write(tree, &mut bytes, Path::new("layer"))?;
        Ok(bytes)
    }

    #[test]
    fn entries_are_roots_and_timeless() {
        let mut tree = Tree::default();
        let long = format!("/{}/{}", "a".repeat(120), "b".repeat(120));
        let bytes = Content::Bytes(b"x".into());
        let file = Kind::File {
            mode: 0o755,
            content: bytes,
        };
        tree.put(Path::new(&long), file, "").unwrap();
        let link = Kind::Symlink {
            target: "c".repeat(150).into(),
        };
        tree.put(Path::new("/link"), link, "").unwrap();
        let bytes = layer(&tree).unwrap();
        let mut archive = Archive::new(bytes.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            assert_eq!(header.mtime().unwrap(), 0);
            seen.push((entry.path().unwrap().into_owned(), header.mode().unwrap()));
        }
        let long = Path::new(&long[1..]);
        let expected = [
            (long.parent().unwrap().join(""), 0o755),
            (long.into(), 0o755),
            ("link".into(), 0o777),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_file_that_changes_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "1234").unwrap();
        for (size, fits) in [(3, false), (4, true), (5, false)] {
            let mut tree = Tree::default();
            let content = Content::Host(path.clone(), size);
            let file = Kind::File {
                mode: 0o644,
                content,
            };
            tree.put(Path::new("/log"), file, "").unwrap();
            let result = layer(&tree);
            assert_eq!(result.is_ok(), fits, "{size}");
            if let Err(error) = result {
                assert!(matches!(error, Error::Changed(_)), "{error}");
            }
        }
    }
}
