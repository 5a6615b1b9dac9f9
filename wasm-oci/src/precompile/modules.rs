use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use oci::{Format, MAGIC_LEN};

use crate::error::{Error, Result};
use crate::inspect::{self, Archive, Image, Kind};

/// A module to compile.
#[derive(Debug)]
pub struct Module {
    /// What the user knows it by, on one line.
    pub name: String,
    file: File,
}

impl Module {
    /// A file to read from its beginning, with a position of its own.
    pub fn open(&self) -> Result<File> {
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        File::open(&path).map_err(|source| Error::Read {
            path: path.into(),
            source,
        })
    }
}

/// The modules of a file, which is one itself or an archive of images.
pub fn of(path: &Path) -> Result<Vec<Module>> {
    let read_error = |source| Error::Read {
        path: path.into(),
        source,
    };
    let mut file = File::open(path).map_err(read_error)?;
    let mut head = Vec::new();
    let size = MAGIC_LEN as u64;
    (&mut file)
        .take(size)
        .read_to_end(&mut head)
        .map_err(read_error)?;
    match Format::of(&head) {
        Format::Module => Ok(vec![Module {
            name: inspect::clean(&path.display().to_string()),
            file,
        }]),
        Format::Component => Err(Error::Component(path.into())),
        Format::UnknownWasm => Err(Error::NotWasm(path.into())),
        Format::Native | Format::Unknown => in_archive(path),
    }
}

fn in_archive(path: &Path) -> Result<Vec<Module>> {
    let archive = Archive::open(path)?;
    let report = inspect::examine(&archive, path)?;
    inspect::check(path, &report.problems)?;
    let mut found = Vec::new();
    for image in &report.images {
        let files = files(&archive, image).map_err(|reason| Error::NotAnArchive {
            path: path.into(),
            reason,
        })?;
        found.extend(files.into_iter().map(|(path, file)| Module {
            name: inspect::clean(&path.display().to_string()),
            file,
        }));
    }
    Ok(found)
}

/// Copies of an image's modules, by their paths.
fn files(archive: &Archive, image: &Image) -> std::result::Result<BTreeMap<PathBuf, File>, String> {
    let modules = image.modules.iter();
    let wanted = |path: &Path| {
        let found = modules
            .clone()
            .find(|module| Path::new(&module.path) == path);
        found.is_some_and(|module| module.format == "module")
    };
    let mut files = BTreeMap::new();
    for (index, layer) in image.layers.iter().enumerate() {
        let mut member = inspect::layer(archive, layer)?;
        match image.kind {
            Kind::Artifact => {
                let title = image
                    .modules
                    .get(index)
                    .map(|module| Path::new(&module.path));
                if let Some(title) = title.filter(|title| wanted(title)) {
                    files.insert(title.to_owned(), copy(&mut member).map_err(text)?);
                }
            }
            // Upper layers come later, and replace.
            Kind::Image => inspect::files(member, &mut |path, bytes| {
                if wanted(path) {
                    files.insert(path.to_owned(), copy(bytes)?);
                }
                Ok(())
            })?,
            Kind::Attestation | Kind::Other => {}
        }
    }
    Ok(files)
}

fn copy(bytes: &mut dyn Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(bytes, &mut file)?;
    file.rewind()?;
    Ok(file)
}

fn text(error: io::Error) -> String {
    error.to_string()
}
