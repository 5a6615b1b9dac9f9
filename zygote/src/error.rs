use std::path::PathBuf;

pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between a request of the shim and a running guest. The
/// texts reach the person who typed the command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("connection to the shim: {0}")]
    Ipc(#[from] ipc::Error),
    #[error("the shim asked for {0} out of order")]
    OutOfOrder(&'static str),
    #[error("{what}: {source}")]
    System {
        what: &'static str,
        source: std::io::Error,
    },
    #[error("can't write {path}: {source}")]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Oci(#[from] oci::Error),
    /// Said by the guest's side, as a whole sentence.
    #[error("{0}")]
    Guest(String),
    /// A container that is made directly could not be set up.
    #[error("the container could not be set up: {reason}")]
    SetUp { reason: String },
    #[error("{}", chain(.0))]
    Libcontainer(#[from] libcontainer::error::LibcontainerError),
}

/// The most characters of a sentence for the user.
const LONGEST: usize = 2000;

/// A sentence that can be told: a hostile module's names can be of any length,
/// and what is told goes through a pipe that nobody reads yet, and in a message
/// whose length is limited.
pub fn shorten(sentence: String) -> String {
    match sentence.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", &sentence[..end]),
        None => sentence,
    }
}

pub trait Context<T> {
    /// Says what was being done when a system call failed.
    fn context(self, what: &'static str) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: &'static str) -> Result<T> {
        self.map_err(|source| Error::System {
            what,
            source: source.into(),
        })
    }
}

/// An error and its causes in one line, none said twice.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_sentence_fits_into_a_message() {
        assert_eq!(shorten("short".into()), "short");
        // JSON makes six of the first.
        let long = shorten("\u{1}ä".repeat(ipc::MAX_MESSAGE));
        let (one, other) = ipc::Channel::pair().unwrap();
        let failed = ipc::FromLauncher::Failed { reason: long };
        one.send(&failed, &[]).unwrap();
        assert_eq!(other.recv::<ipc::FromLauncher>().unwrap().0, failed);
    }
}
