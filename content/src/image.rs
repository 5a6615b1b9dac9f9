use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use ipc::ModuleFile;
use oci::artifact::{self, MAX_MANIFEST, MAX_MODULES, ModuleLayer};
use tonic::Code;

use crate::error::{Error, Result};
use crate::sealed::Writer;
use crate::store::Store;

/// Each is a descriptor on its way to the guest.
const _: () = assert!(MAX_MODULES <= ipc::MAX_MODULES);

/// A module, its content checked against its digest.
pub struct Module {
    pub description: ModuleFile,
    pub file: OwnedFd,
}

/// The modules of the image of this name, the program first; `None` if it is an
/// ordinary image.
pub async fn modules(store: &mut Store, image: &str) -> Result<Option<Vec<Module>>> {
    let target = store.target_of(image).await?;
    let mut reader = Reader { store, image };
    let manifest = match artifact::is_index(&target.media_type) {
        false => target.digest,
        true => {
            let index = reader.json(&target.digest).await?;
            let chosen = artifact::manifest_of(&index);
            match chosen.map_err(|problem| reader.problem(problem))? {
                Some(digest) => digest,
                None => return Ok(None),
            }
        }
    };
    let manifest = reader.json(&manifest).await?;
    let layers = artifact::modules(&manifest).map_err(|problem| reader.problem(problem))?;
    let Some(layers) = layers else {
        return Ok(None);
    };
    let mut modules = Vec::new();
    for layer in layers {
        modules.push(reader.module(layer).await?);
    }
    Ok(Some(modules))
}

struct Reader<'a> {
    store: &'a mut Store,
    image: &'a str,
}

impl Reader<'_> {
    async fn module(&mut self, layer: ModuleLayer) -> Result<Module> {
        let writer = self.read(&layer.shown, &layer.digest, layer.size).await?;
        if writer.length() != layer.size {
            let (shown, size, length) = (&layer.shown, layer.size, writer.length());
            return Err(self.problem(format!(
                "{shown:?} has {length} bytes, and not {size} as its manifest says"
            )));
        }
        let file = self.checked(&layer.shown, &layer.digest, writer)?;
        Ok(Module {
            description: ModuleFile {
                name: layer.name,
                shown: layer.shown,
            },
            file,
        })
    }

    /// A manifest or an index.
    async fn json(&mut self, digest: &str) -> Result<Vec<u8>> {
        let what = "its manifest";
        let writer = self.read(what, digest, MAX_MANIFEST).await?;
        let file = self.checked(what, digest, writer)?;
        let mut bytes = Vec::new();
        let read = File::from(file).read_to_end(&mut bytes);
        read.map_err(Error::Memory)?;
        Ok(bytes)
    }

    /// What containerd has under a digest, as far as `limit` bytes.
    async fn read(&mut self, what: &str, digest: &str, limit: u64) -> Result<Writer> {
        let mut writer = Writer::new().map_err(Error::Memory)?;
        let mut stream = match self.store.read(digest).await {
            Ok(stream) => stream,
            Err(status) => return Err(self.unread(what, digest, status)),
        };
        loop {
            let piece = match stream.message().await {
                Ok(Some(piece)) => piece.data,
                Ok(None) => return Ok(writer),
                Err(status) => return Err(self.unread(what, digest, status)),
            };
            if writer.length().saturating_add(piece.len() as u64) > limit {
                return Err(self.problem(format!("{what} ({digest}) is longer than {limit} bytes")));
            }
            writer.write(&piece).map_err(Error::Memory)?;
        }
    }

    fn checked(&self, what: &str, digest: &str, writer: Writer) -> Result<OwnedFd> {
        let (file, found) = writer.seal().map_err(Error::Memory)?;
        match found == digest {
            true => Ok(file),
            false => Err(self.problem(format!(
                "the content of {what} in containerd's store is not what its digest says: \
                 it is {found}, and not {digest}"
            ))),
        }
    }

    fn unread(&self, what: &str, digest: &str, status: tonic::Status) -> Error {
        match status.code() {
            Code::NotFound => self.problem(format!(
                "{what} ({digest}) is not in containerd's content store; pull or import it again"
            )),
            _ => Error::Call {
                what: format!("what is in {what} ({digest}) of image {}", self.image),
                status: Box::new(status),
            },
        }
    }

    fn problem(&self, problem: String) -> Error {
        Error::Image {
            image: self.image.into(),
            problem,
        }
    }
}
