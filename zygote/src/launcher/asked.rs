use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc::ModuleFile;

use crate::error::{Error, Result};
use crate::guest::Artifact;

/// What comes with a request to make a process: descriptors, and whose they are.
pub struct Asked {
    pub modules: Vec<ModuleFile>,
    streams: Streams,
    files: Vec<OwnedFd>,
}

/// The descriptors of a process to be made.
pub struct Streams {
    pub stdio: [OwnedFd; 3],
    /// To the shim's store of native code, if it may be asked.
    pub library: Option<OwnedFd>,
}

impl Asked {
    /// The descriptors are in the order of `ToLauncher::Create`.
    pub fn new(modules: Vec<ModuleFile>, fds: Vec<OwnedFd>) -> Result<Self> {
        let mut fds = fds.into_iter();
        let stdio: Vec<_> = fds.by_ref().take(3).collect();
        let stdio = <[OwnedFd; 3]>::try_from(stdio)
            .map_err(|_| Error::OutOfOrder("a process without stdin, stdout and stderr"))?;
        let files: Vec<_> = fds.by_ref().take(modules.len()).collect();
        if files.len() != modules.len() {
            return Err(Error::OutOfOrder("a module without its file"));
        }
        let library = fds.next();
        Ok(Self {
            modules,
            streams: Streams { stdio, library },
            files,
        })
    }

    /// In that order.
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let Streams { stdio, library } = &self.streams;
        let all = stdio.iter().chain(&self.files).chain(library);
        all.map(AsFd::as_fd).collect()
    }

    /// Also returns the program, if it is not in the container.
    pub fn apart(self) -> (Streams, Option<Artifact>) {
        let artifact = Artifact::new(self.modules, self.files);
        (self.streams, artifact)
    }
}
