use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, getgid, getuid};
use oci::{Format, MAGIC_LEN, Workload};

use super::apparmor::HostProc;
use super::module::Module;

/// A program that was found and may be run.
pub enum Program {
    Module(Module),
    Native(PathBuf),
}

impl Program {
    /// Finds the workload's program in the container, tells by its first bytes
    /// what it is, and loads it if it is a Wasm module. Runs as the container's
    /// user, confined. An error is one sentence for the user.
    pub fn load(workload: &Workload, proc: &HostProc) -> Result<Self, String> {
        let (path, file) = find(workload)?;
        let Some(mut file) = file else {
            return Ok(Self::Native(path));
        };
        let mut bytes = Vec::new();
        read(&mut file, MAGIC_LEN as u64, &mut bytes, &path)?;
        let shown = path.display();
        match Format::of(&bytes) {
            Format::Module => {
                if let Some(profile) = &workload.apparmor_profile {
                    proc.change_profile(profile)?;
                }
                read(&mut file, u64::MAX, &mut bytes, &path)?;
                Ok(Self::Module(Module::load(&path, &bytes)?))
            }
            Format::Component => Err(format!(
                "{shown} is a WebAssembly component; this runtime runs core modules: \
                 build it for wasip1 (for Rust: --target wasm32-wasip1)"
            )),
            Format::UnknownWasm => Err(format!(
                "{shown} starts like WebAssembly but is no module of version 1; \
                 it may be cut short"
            )),
            Format::Unknown => Err(format!(
                "{shown} is no program: neither a WebAssembly module (\\0asm), \
                 nor an ELF program, nor a script (#!)"
            )),
            Format::Native if access(&path, AccessFlags::X_OK).is_err() => Err(format!(
                "{shown} is a native program that user {}:{} may not execute",
                getuid(),
                getgid()
            )),
            Format::Native => Ok(Self::Native(path)),
        }
    }
}

/// The first candidate that is a file, opened; not opened if it may be run but
/// not read, as a native program may.
fn find(workload: &Workload) -> Result<(PathBuf, Option<File>), String> {
    let mut denied = None;
    let mut folder = None;
    let candidates = workload.candidates();
    for path in &candidates {
        if path.is_dir() {
            folder.get_or_insert(path);
            continue;
        }
        match open(path) {
            Ok(file) => return Ok((path.clone(), Some(file))),
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(format!(
                    "{} is not a file but a device, FIFO or socket",
                    path.display()
                ));
            }
            // As execvp does, go on: a later folder of PATH may have it.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                if access(path, AccessFlags::X_OK).is_ok() {
                    return Ok((path.clone(), None));
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
        (None, Some(path)) => format!("{} is a folder, not a file to run", path.display()),
        (None, None) => {
            let tried: Vec<_> = candidates
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            format!(
                "no such file in the container: {:?} (process.args[0]); looked for {}",
                workload.args[0],
                tried.join(", ")
            )
        }
    })
}

/// Opens a regular file; without waiting, as a FIFO would make one wait.
fn open(path: &Path) -> std::io::Result<File> {
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(ErrorKind::InvalidInput.into())
    }
}

fn read(file: &mut File, limit: u64, bytes: &mut Vec<u8>, path: &Path) -> Result<(), String> {
    file.take(limit)
        .read_to_end(bytes)
        .map_err(|error| format!("{} can't be read: {error}", path.display()))?;
    Ok(())
}
