use std::fs::{DirBuilder, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::child;
use crate::error::{Context, Error, Result};

/// How long a logger may take to be ready, as for containerd's own shims.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Where a process's output goes, if not to a FIFO or to nothing
/// (containerd, "shim protocol", "IO").
#[derive(Debug, PartialEq, Eq)]
pub enum LogUri {
    /// `file:///path`: appended there.
    File(PathBuf),
    /// `binary:///path?key=value`: to a program that is given `key value`.
    Binary { program: PathBuf, args: Vec<String> },
}

impl LogUri {
    /// `None` for a path; an error for a URI of another scheme.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(None);
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = PathBuf::from(decode(path));
        if !path.is_absolute() {
            return Err(Error::Invalid(format!(
                "the log URI {text:?} has no absolute path"
            )));
        }
        match scheme {
            "fifo" => Ok(None),
            "file" => Ok(Some(Self::File(path))),
            "binary" => Ok(Some(Self::Binary {
                program: path,
                args: arguments(query),
            })),
            _ => Err(Error::Invalid(format!(
                "the log URI {text:?} is of an unknown scheme; fifo, file and binary are known"
            ))),
        }
    }
}

/// The path of a FIFO, which may be given as a URI too.
pub fn fifo_path(text: &str) -> &str {
    text.strip_prefix("fifo://").unwrap_or(text)
}

/// Opens a log file at its end; it is made, with its folders, if there is none.
pub fn open_file(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)
            .at("can't create", folder)?;
    }
    File::options()
        .append(true)
        .create(true)
        .mode(0o644)
        .open(path)
        .at("can't open the log", path)
}

/// Starts a logger, which reads stdout and stderr as its descriptors 3 and 4
/// and closes 5 when it is ready; returns the writing ends of the former two.
pub async fn start_logger(
    program: &Path,
    args: &[String],
    namespace: &str,
    id: &str,
) -> Result<[OwnedFd; 2]> {
    let what = "can't start the logger";
    let pipe = || std::io::pipe().at(what, program);
    let ((out, stdout), (err, stderr), (ready, is_ready)) = (pipe()?, pipe()?, pipe()?);
    let mapping = |parent_fd: OwnedFd, child_fd| FdMapping {
        parent_fd,
        child_fd,
    };
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .env("CONTAINER_ID", id)
        .env("CONTAINER_NAMESPACE", namespace)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .fd_mappings(vec![
            mapping(out.into(), 3),
            mapping(err.into(), 4),
            mapping(is_ready.into(), 5),
        ])
        .map_err(|error| Error::Bug(error.to_string()))?;
    let logger = command.spawn().at(what, program)?;
    // Its ends are in the command.
    drop(command);
    child::reap(logger)?;
    let mut ready = pipe::Receiver::from_owned_fd(ready.into()).at(what, program)?;
    // A byte or the end, as for containerd's own shims.
    match tokio::time::timeout(READY_WITHIN, ready.read(&mut [0])).await {
        Ok(read) => read.at("can't hear the logger", program)?,
        Err(_) => {
            return Err(Error::Invalid(format!(
                "the logger {} did not close its descriptor 5 within {READY_WITHIN:?}; \
                 a logger does so when it is ready to read",
                program.display()
            )));
        }
    };
    Ok([stdout.into(), stderr.into()])
}

/// The query of a URI as arguments: each name, and each value that is not empty.
fn arguments(query: &str) -> Vec<String> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .flat_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            [decode(name), decode(value)]
        })
        .filter(|text| !text.is_empty())
        .collect()
}

/// `%41` is `A`, and in a query `+` a space.
fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_as_containerd_writes_them() {
        assert_eq!(LogUri::parse("/run/fifo").unwrap(), None);
        assert_eq!(LogUri::parse("fifo:///run/fifo").unwrap(), None);
        assert_eq!(fifo_path("fifo:///run/fifo"), "/run/fifo");
        assert_eq!(
            LogUri::parse("file:///var/log/a%20b").unwrap(),
            Some(LogUri::File("/var/log/a b".into()))
        );
        assert_eq!(
            LogUri::parse("binary:///bin/log?path=%2Ftmp&verbose=").unwrap(),
            Some(LogUri::Binary {
                program: "/bin/log".into(),
                args: vec!["path".into(), "/tmp".into(), "verbose".into()],
            })
        );
        for wrong in ["npipe:///x", "file://relative", "binary://"] {
            let error = LogUri::parse(wrong).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
