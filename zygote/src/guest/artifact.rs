use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use ipc::ModuleFile;

/// The modules of a container that is made of an artifact: sealed files in
/// memory, whose content was compared with their digests. Nothing of them has
/// been looked at.
pub struct Artifact {
    pub program: Given,
    pub imports: Vec<Given>,
}

/// A module that came as a descriptor.
pub struct Given {
    /// What others import from it by.
    pub name: String,
    /// What the user knows it by; there is no such path.
    pub path: PathBuf,
    pub file: File,
}

impl Artifact {
    /// The program first, with a descriptor for each; `None` without any.
    pub fn new(modules: Vec<ModuleFile>, fds: Vec<OwnedFd>) -> Option<Self> {
        let mut given = modules.into_iter().zip(fds).map(|(module, fd)| Given {
            name: module.name,
            path: module.shown.into(),
            file: fd.into(),
        });
        Some(Self {
            program: given.next()?,
            imports: given.collect(),
        })
    }
}
