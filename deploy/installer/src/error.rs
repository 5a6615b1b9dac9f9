use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong. The texts reach the operator: one sentence each, with
/// what to do where there is something to be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what} {path}: {source}")]
    Path {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{what}: {source}")]
    System {
        what: &'static str,
        source: io::Error,
    },
    #[error("{path} can't be read as TOML: {reason}")]
    Toml { path: PathBuf, reason: String },
    #[error("{0}")]
    Invalid(String),
    #[error("`{command}` failed: {reason}")]
    Command { command: String, reason: String },
    #[error("the Kubernetes API did not change the label of node {node}: {reason}")]
    Api { node: String, reason: String },
}

impl Error {
    pub fn invalid(text: impl Display) -> Self {
        Self::Invalid(text.to_string())
    }
}

/// Says what was done to which file when it failed.
pub trait At<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> At<T> for std::result::Result<T, E> {
    fn at(self, what: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Path {
            what,
            path: path.into(),
            source: source.into(),
        })
    }
}
