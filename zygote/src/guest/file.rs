use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

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

/// Adds up to `limit` bytes to `bytes`. An error is one sentence for the user.
pub fn read(file: &mut File, limit: u64, bytes: &mut Vec<u8>, path: &Path) -> Result<(), String> {
    file.take(limit)
        .read_to_end(bytes)
        .map_err(|error| describe(&error, path))?;
    Ok(())
}
