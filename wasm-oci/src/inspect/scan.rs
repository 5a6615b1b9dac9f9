//! The modules in a layer's file system. Neither the compressed stream nor the
//! tar archive in it is trusted: what is kept in memory has limits.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use oci::{Format, MAGIC_LEN};
use oci_spec::image::Digest;
use ruzstd::decoding::StreamingDecoder;
use tar::EntryType;

use super::archive::compression;
use super::report::Module;
use crate::digest::Hashed;
use crate::module;

/// What a layer may unpack to.
const LAYER_LIMIT: u64 = 64 << 30;
/// What the headers of one entry may take: long names are read as a whole.
const HEADER_LIMIT: u64 = 1 << 20;
/// What a module that is looked into may take: it is read as a whole.
pub const MODULE_LIMIT: u64 = 512 << 20;
/// How many modules are listed.
const MODULES: usize = 1000;

/// The modules by their paths, as a container would find them.
pub type Modules = BTreeMap<PathBuf, Module>;

/// What came out of reading a layer.
#[derive(Debug)]
pub struct Scanned {
    /// Of the layer as it is in the archive.
    pub digest: Digest,
    /// Of the layer when unpacked: the DiffID.
    pub diff_id: Digest,
}

/// Reads a layer to its end, and brings `modules` from the state of the layers
/// below to that with this one. An error is the end of a sentence.
pub fn layer(
    bytes: impl Read,
    modules: &mut Modules,
    problems: &mut Vec<String>,
) -> Result<Scanned, String> {
    let mut raw = Hashed::new(BufReader::with_capacity(1 << 16, bytes));
    let mut own = Modules::new();
    let diff_id = unpack(&mut raw, &mut |entry| {
        let found = match entry.kind.is_file() {
            true => module(entry.bytes, entry.path, problems).map_err(text)?,
            false => None,
        };
        hide(modules, entry.path, entry.kind.is_dir());
        own.remove(entry.path);
        own.extend(found.map(|module| (entry.path.to_owned(), module)));
        match own.len() > MODULES {
            true => Err(format!("it has more than {MODULES} modules")),
            false => Ok(()),
        }
    })?;
    modules.extend(own);
    if io::copy(&mut raw, &mut io::sink()).map_err(text)? > 0 {
        return Err("it goes on after its end, as zstd with several frames does".into());
    }
    let (_, digest, _) = raw.finish();
    Ok(Scanned { digest, diff_id })
}

/// Hands the files of a layer on, by the paths that they come to lie at.
pub fn files(
    bytes: impl Read,
    take: &mut dyn FnMut(&Path, &mut dyn Read) -> io::Result<()>,
) -> Result<(), String> {
    let mut raw = BufReader::with_capacity(1 << 16, bytes);
    let diff_id = unpack(&mut raw, &mut |entry| match entry.kind.is_file() {
        true => take(entry.path, entry.bytes).map_err(text),
        false => Ok(()),
    });
    diff_id.map(drop)
}

/// What lies at one path of a layer.
struct Entry<'a> {
    path: &'a Path,
    kind: EntryType,
    bytes: &'a mut dyn Read,
}

/// What is done with each entry.
type Visit<'a> = dyn FnMut(Entry<'_>) -> Result<(), String> + 'a;

/// Unpacks a layer, however it is compressed; returns the digest of what it
/// unpacks to.
fn unpack(bytes: &mut impl Read, visit: &mut Visit<'_>) -> Result<Digest, String> {
    let mut head = Vec::new();
    bytes.take(4).read_to_end(&mut head).map_err(text)?;
    let how = compression(&head);
    let stream = head.as_slice().chain(bytes);
    match how {
        Some("gzip") => unpacked(MultiGzDecoder::new(stream), visit),
        Some(_) => {
            let decoder = StreamingDecoder::new(stream).map_err(|error| error.to_string())?;
            unpacked(decoder, visit)
        }
        None => unpacked(stream, visit),
    }
}

fn unpacked(stream: impl Read, visit: &mut Visit<'_>) -> Result<Digest, String> {
    let mut stream = Hashed::new(stream.take(LAYER_LIMIT));
    let budget = Rc::new(Cell::new(HEADER_LIMIT));
    let mut archive = tar::Archive::new(Metered {
        inner: &mut stream,
        budget: Rc::clone(&budget),
    });
    for entry in archive.entries().map_err(text)? {
        let mut entry = entry.map_err(text)?;
        budget.set(u64::MAX);
        let path = normal(&entry.path().map_err(text)?);
        visit(Entry {
            path: &path,
            kind: entry.header().entry_type(),
            bytes: &mut entry,
        })?;
        io::copy(&mut entry, &mut io::sink()).map_err(text)?;
        budget.set(HEADER_LIMIT);
    }
    drop(archive);
    io::copy(&mut stream, &mut io::sink()).map_err(text)?;
    let (rest, digest, _) = stream.finish();
    match rest.limit() {
        0 => Err(format!("it unpacks to more than {LAYER_LIMIT} bytes")),
        _ => Ok(digest),
    }
}

/// The module that an entry is, if it is one.
fn module(
    entry: &mut dyn Read,
    path: &Path,
    problems: &mut Vec<String>,
) -> io::Result<Option<Module>> {
    let mut bytes = Vec::new();
    let mut entry = entry;
    (&mut entry)
        .take(MAGIC_LEN as u64)
        .read_to_end(&mut bytes)?;
    let format = Format::of(&bytes);
    if matches!(format, Format::Native | Format::Unknown) {
        return Ok(None);
    }
    (&mut entry).take(MODULE_LIMIT).read_to_end(&mut bytes)?;
    let rest = io::copy(&mut entry, &mut io::sink())?;
    let path = path.to_string_lossy().into_owned();
    if rest > 0 {
        problems.push(format!("{path} is too large to be looked into"));
    }
    let mut module = look_into(path, &bytes, problems);
    module.size += rest;
    Ok(Some(module))
}

/// What a file that begins as Wasm does is; one that is malformed is a problem.
pub fn look_into(path: String, bytes: &[u8], problems: &mut Vec<String>) -> Module {
    let format = Format::of(bytes);
    let mut content = module::Module::default();
    if format == Format::Module {
        match module::Module::parse(bytes) {
            Ok(parsed) => content = parsed,
            Err(reason) => problems.push(format!("{path} is malformed: {reason}")),
        }
    }
    Module {
        path,
        size: bytes.len() as u64,
        format: match format {
            Format::Module => "module",
            Format::Component => "component",
            Format::UnknownWasm | Format::Native | Format::Unknown => "unknown",
        },
        content,
    }
}

/// Takes out of the layers below what this entry replaces, or deletes by a
/// name that begins with `.wh.` (OCI image spec, "whiteouts").
fn hide(below: &mut Modules, path: &Path, is_folder: bool) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let parent = path.parent().unwrap_or(Path::new("/"));
    match name.strip_prefix(".wh.") {
        Some(".wh..opq") => below.retain(|path, _| !path.starts_with(parent)),
        Some(name) => {
            let gone = parent.join(name);
            below.retain(|path, _| !path.starts_with(&gone));
        }
        None if is_folder => drop(below.remove(path)),
        None => below.retain(|other, _| !other.starts_with(path)),
    }
}

/// The absolute path that an entry comes to lie at.
fn normal(path: &Path) -> PathBuf {
    let names = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)));
    Path::new("/").components().chain(names).collect()
}

fn text(error: io::Error) -> String {
    error.to_string()
}

/// Ends with an error when more is read than the budget allows.
struct Metered<R> {
    inner: R,
    budget: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.budget.get().checked_sub(count as u64);
        let left = left.ok_or_else(|| io::Error::other("an entry's name is too long"))?;
        self.budget.set(left);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
