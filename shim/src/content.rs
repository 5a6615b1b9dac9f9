use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ipc::{Channel, FromContent, ModuleFile};

use crate::args::Args;
use crate::child;
use crate::error::{Context, Error, Result};
use crate::watched::{recv, watch};

/// Modules that are not in a container's file system, the program first.
#[derive(Debug, Default)]
pub struct Modules {
    pub files: Vec<ModuleFile>,
    /// One for each.
    pub fds: Vec<OwnedFd>,
}

/// Whose modules are wanted.
#[derive(Debug, Clone, Copy)]
pub enum Whose<'a> {
    /// Those of the image that containerd knows a container to be made of.
    Container(&'a str),
    /// Those of the image of this name.
    Image(&'a str),
}

/// containerd's images and their content.
///
/// They are asked for by a program of its own, which ends with its answer: a
/// gRPC client in each shim would be paid for by all containers.
#[derive(Debug)]
pub struct Content {
    program: PathBuf,
    address: String,
    namespace: String,
}

impl Content {
    /// `files`: the folder of the shim's other programs.
    pub fn new(files: &Path, args: &Args) -> Self {
        Self {
            program: files.join("wasm-content"),
            address: args.address.clone(),
            namespace: args.namespace.clone(),
        }
    }

    /// None, if the image is an ordinary one.
    pub async fn modules(&self, whose: Whose<'_>) -> Result<Modules> {
        let (ours, theirs) = Channel::pair()?;
        let (kind, name) = match whose {
            Whose::Container(id) => ("container", id),
            Whose::Image(name) => ("image", name),
        };
        let child = Command::new(&self.program)
            .args([&self.address, &self.namespace, kind, name])
            .current_dir("/")
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .at("can't start", &self.program)?;
        child::reap(child)?;
        let answers = watch(ours).context("can't hear wasm-content")?;
        // It gives up by itself when containerd does not answer.
        match recv(&answers).await {
            Ok((FromContent::Modules(files), fds)) if files.len() == fds.len() => {
                Ok(Modules { files, fds })
            }
            Ok((FromContent::Ordinary, _)) => Ok(Modules::default()),
            Ok((FromContent::Failed { reason }, _)) => Err(Error::Launch(reason)),
            Ok(_) => Err(Error::Bug("a module came without its file".into())),
            Err(ipc::Error::Closed) => Err(Error::Launch(
                "wasm-content, which reads an image's modules, was killed before it was done"
                    .into(),
            )),
            Err(error) => Err(error.into()),
        }
    }
}
