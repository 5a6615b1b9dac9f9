use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;

use nix::unistd::{AccessFlags, access, getgid, getuid};
use oci::{Candidate, Format, Workload};

use super::artifact::{Artifact, Given};
use super::file;
use super::job::Job;
use super::loader::Loader;
use crate::error::shorten;

/// A program that was found and may be run.
pub enum Program {
    Module(Box<Job>),
    Native(PathBuf),
}

impl Program {
    /// Finds the workload's program in the container, tells by its first bytes
    /// what it is, and loads it if it is a Wasm module. Runs as the container's
    /// user, confined. An error is one sentence for the user.
    pub fn load(workload: &Workload, loader: &Loader<'_>) -> Result<Self, String> {
        let found = match workload.without_init() {
            Some(inner) => Self::behind_init(workload, &inner, loader),
            None => Self::find(workload, loader),
        };
        found.map_err(shorten)
    }

    /// Loads the program that came by itself. `process.args[0]` names no file
    /// then: it is what the program is told that its name is.
    pub fn of_artifact(
        workload: &Workload,
        artifact: Artifact,
        loader: &Loader<'_>,
    ) -> Result<Self, String> {
        let inner = workload.without_init();
        let workload = inner.as_ref().unwrap_or(workload);
        let program = workload.without_file(&artifact.program.path);
        let (file, imports) = (artifact.program.file, artifact.imports);
        Self::module(workload, &program, (file, imports), loader).map_err(shorten)
    }

    /// `given`: the program, and the import modules that came with it.
    fn module(
        workload: &Workload,
        program: &Candidate,
        given: (File, Vec<Given>),
        loader: &Loader<'_>,
    ) -> Result<Self, String> {
        loader.proc().confine_now(workload)?;
        let job = Job::prepare(workload, program, given, loader)?;
        Ok(Self::Module(Box::new(job)))
    }

    /// Docker's init passes signals on and buries orphans. A Wasm guest ends on
    /// signals without it and has no children, and is nothing that an init could
    /// execute: it runs alone.
    fn behind_init(init: &Workload, inner: &Workload, loader: &Loader<'_>) -> Result<Self, String> {
        match Self::find(inner, loader)? {
            module @ Self::Module(_) => Ok(module),
            Self::Native(_) => Self::find(init, loader),
        }
    }

    fn find(workload: &Workload, loader: &Loader<'_>) -> Result<Self, String> {
        let (found, file) = find(workload)?;
        let path = found.path.clone();
        let Some(mut file) = file else {
            return native(workload, found);
        };
        let head = file::head(&mut file, &path)?;
        let shown = path.display();
        match Format::of(&head) {
            Format::Module | Format::Component | Format::UnknownWasm => {
                Self::module(workload, &found, (file, Vec::new()), loader)
            }
            Format::Unknown => Err(format!(
                "{shown} is no program: neither a WebAssembly module (\\0asm), \
                 nor an ELF program, nor a script (#!)"
            )),
            Format::Native if access(&path, AccessFlags::X_OK).is_err() => Err(format!(
                "{shown} is a native program that user {}:{} may not execute: permission denied",
                getuid(),
                getgid()
            )),
            Format::Native => native(workload, found),
        }
    }
}

/// The entrypoint annotation is no mistake here: those of a pod come to all
/// its containers.
fn native(workload: &Workload, found: Candidate) -> Result<Program, String> {
    if let Some(annotation) = &workload.wishes.only_wasm {
        return Err(format!(
            "{} is a native program, but annotation {annotation} allows WebAssembly alone: \
             use the value with \"-smart\" for pods that have both",
            found.path.display()
        ));
    }
    match found.function {
        None => Ok(Program::Native(found.path)),
        Some(function) => Err(format!(
            "{} is a native program, of which no function can be called: \
             leave out \"#{function}\" (process.args[0])",
            found.path.display()
        )),
    }
}

/// The first candidate that is a file, opened; not opened if it may be run but
/// not read, as a native program may.
///
/// Docker's exit codes come from words in these errors: 127 from "no such file
/// or directory", 126 from "permission denied" and "is a directory".
fn find(workload: &Workload) -> Result<(Candidate, Option<File>), String> {
    let mut denied = None;
    let mut folder = None;
    let candidates = workload.candidates();
    for candidate in &candidates {
        let path = &candidate.path;
        if path.is_dir() {
            folder.get_or_insert(path);
            continue;
        }
        match file::open(path) {
            Ok(file) => return Ok((candidate.clone(), Some(file))),
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(file::describe(&error, path));
            }
            // As execvp does, go on: a later folder of PATH may have it.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                if access(path, AccessFlags::X_OK).is_ok() {
                    return Ok((candidate.clone(), None));
                }
                denied.get_or_insert(path);
            }
            Err(_) => {}
        }
    }
    Err(match (denied, folder) {
        (Some(path), _) => format!(
            "{} can't be read by user {}:{}: permission denied",
            path.display(),
            getuid(),
            getgid()
        ),
        (None, Some(path)) => format!("{} is a directory, not a file to run", path.display()),
        (None, None) => {
            let tried: Vec<_> = candidates
                .iter()
                .map(|candidate| candidate.path.display().to_string())
                .collect();
            format!(
                "no such file or directory in the container: {:?} (process.args[0]); looked for {}",
                workload.args[0],
                tried.join(", ")
            )
        }
    })
}
