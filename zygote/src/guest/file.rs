use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use oci::{Budget, MAGIC_LEN, Sections};

/// Opens a regular file; without waiting, as a FIFO would make one wait. What
/// is none is `InvalidInput`.
pub fn open(path: &Path) -> std::io::Result<File> {
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(ErrorKind::InvalidInput.into())
    }
}

/// What to tell the user of an error of [`open`].
pub fn describe(error: &Error, path: &Path) -> String {
    let shown = path.display();
    if error.kind() == ErrorKind::InvalidInput {
        return format!("{shown} is not a file but a folder, device, FIFO or socket");
    }
    format!("{shown} can't be read: {error}")
}

/// The first bytes of a file. An error is one sentence for the user.
pub fn head(file: &mut File, path: &Path) -> Result<Vec<u8>, String> {
    read(file, MAGIC_LEN as u64, path)
}

/// A module that the budget has room for: what it needs is taken from there.
///
/// It is read by place, as who makes native code of it reads the same open file,
/// which has one position.
#[derive(Debug)]
pub struct Module<'a> {
    file: &'a File,
    path: &'a Path,
    /// No more is read, should the file grow meanwhile.
    length: u64,
}

impl<'a> Module<'a> {
    /// An error is one sentence for the user.
    pub fn new(file: &'a File, path: &'a Path, budget: &mut Budget) -> Result<Self, String> {
        let length = file.metadata().map(|metadata| metadata.len());
        let sections = length
            .and_then(|length| Sections::read(&mut BufReader::new(file), length))
            .map_err(|error| describe(&error, path))?;
        budget
            .take(&path.display().to_string(), &sections)
            .map_err(|error| error.to_string())?;
        let length = sections.length;
        Ok(Self { file, path, length })
    }

    /// From its beginning, piece by piece.
    pub fn reader(&self) -> impl Read {
        let whole = Placed {
            file: self.file,
            place: 0,
        };
        whole.take(self.length)
    }

    /// All of it. An error is one sentence for the user.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        self.reader()
            .read_to_end(&mut bytes)
            .map_err(|error| describe(&error, self.path))?;
        Ok(bytes)
    }
}

struct Placed<'a> {
    file: &'a File,
    place: u64,
}

impl Read for Placed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(buffer, self.place)?;
        self.place += count as u64;
        Ok(count)
    }
}

fn read(file: &mut File, limit: u64, path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| describe(&error, path))?;
    Ok(bytes)
}
