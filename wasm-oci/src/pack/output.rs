//! The archive's file: there when it is whole, and not before.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::error::{Error, Result};

/// Where to write to.
#[derive(Debug)]
pub enum Output {
    Stdout(io::Stdout),
    /// A file beside the one it will be.
    File {
        temporary: NamedTempFile,
        path: PathBuf,
    },
}

impl Output {
    /// `-` is standard output.
    pub fn create(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            let stdout = io::stdout();
            return match stdout.is_terminal() {
                true => Err(Error::OutputTerminal),
                false => Ok(Self::Stdout(stdout)),
            };
        }
        // The rename has to replace what a symbolic link points to, and must
        // never replace a device.
        let path = match fs::canonicalize(path) {
            Ok(real) if real.is_file() => real,
            Ok(_) => return Err(Error::OutputNoFile(path.into())),
            Err(_) => path.into(),
        };
        let temporary = Builder::new()
            .prefix(".wasm-oci")
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(folder(&path))
            .map_err(|source| write_error(&path, source))?;
        Ok(Self::File { temporary, path })
    }

    /// An unnamed file on the disk that the output goes to.
    pub fn spool(&self) -> Result<fs::File> {
        match self {
            Self::Stdout(_) => tempfile::tempfile(),
            Self::File { path, .. } => tempfile::tempfile_in(folder(path)),
        }
        .map_err(|source| write_error(self.place(), source))
    }

    /// The output's name, for messages.
    pub fn place(&self) -> &Path {
        match self {
            Self::Stdout(_) => Path::new("standard output"),
            Self::File { path, .. } => path,
        }
    }

    /// Makes the file be there, in place of an older one.
    pub fn finish(mut self) -> Result<()> {
        self.flush()
            .map_err(|source| write_error(self.place(), source))?;
        match self {
            Self::Stdout(_) => Ok(()),
            Self::File { temporary, path } => temporary
                .persist(&path)
                .map(drop)
                .map_err(|error| write_error(&path, error.error)),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File { temporary, .. } => temporary.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File { temporary, .. } => temporary.flush(),
        }
    }
}

fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

pub fn write_error(path: &Path, source: io::Error) -> Error {
    Error::Write {
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn there_when_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.tar");
        fs::write(&path, "old").unwrap();
        let link = folder.path().join("link");
        symlink("app.tar", &link).unwrap();
        let mut output = Output::create(&link).unwrap();
        output.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        output.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        // Given up, it leaves nothing.
        drop(Output::create(&folder.path().join("other")).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_no_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), Path::new("/dev/null")] {
            let error = Output::create(path).unwrap_err().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
        let error = Output::create(&folder.path().join("gone/app.tar")).unwrap_err();
        assert!(error.to_string().contains("gone/app.tar"), "{error}");
    }
}
