use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
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

/// All bytes of a module, if the budget has what it needs, which is taken from
/// it. An error is one sentence for the user.
pub fn module(mut file: File, path: &Path, budget: &mut Budget) -> Result<Vec<u8>, String> {
    let outline = |file: &mut File| {
        let length = file.metadata()?.len();
        let sections = Sections::read(&mut BufReader::new(&mut *file), length)?;
        file.rewind()?;
        Ok(sections)
    };
    let sections = outline(&mut file).map_err(|error| describe(&error, path))?;
    budget
        .take(&path.display().to_string(), &sections)
        .map_err(|error| error.to_string())?;
    // No more than was allowed, should the file grow meanwhile.
    read(&mut file, sections.length, path)
}

fn read(file: &mut File, limit: u64, path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| describe(&error, path))?;
    Ok(bytes)
}
