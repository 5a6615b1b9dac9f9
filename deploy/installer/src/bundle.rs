//! The tree of the shim on the node: each release in a folder of its own that is
//! named after its content, and a link to the one that new containers get.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::config::document::RUNTIME;
use crate::error::{At, Error, Result};
use crate::host::Host;
use crate::layout::PREFIX;
use crate::{files, processes};

/// The parts of the tree, the shim's own last: it is what starts the others.
const PARTS: [&str; 2] = ["lib", "bin"];
const RUNTIME_FOLDER: &str = "lib/containerd-shim-wasm";

/// A tree of `bin/` and `lib/containerd-shim-wasm/`.
#[derive(Debug)]
pub struct Bundle {
    folder: PathBuf,
    id: String,
}

impl Bundle {
    pub fn open(folder: &Path) -> Result<Self> {
        let shim = folder.join("bin/containerd-shim-wasm-v1");
        if !shim.is_file() {
            return Err(Error::invalid(format!(
                "{} has no bin/containerd-shim-wasm-v1; say with --bundle where the built tree is",
                folder.display()
            )));
        }
        let id = content_id(folder)?;
        let folder = folder.into();
        Ok(Self { folder, id })
    }

    /// The tree that this program lies in.
    pub fn own() -> Result<Self> {
        let program = std::env::current_exe().at("can't find", Path::new("/proc/self/exe"))?;
        let folder = program.ancestors().nth(2).unwrap_or(Path::new("/"));
        Self::open(folder)
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Puts the tree into its folder, unless it is there, whole. Returns whether
    /// something was done.
    pub fn copy(&self, host: &Host) -> Result<bool> {
        let release = releases(host).join(&self.id);
        if content_id(&release).is_ok_and(|id| id == self.id) {
            return Ok(false);
        }
        let new = files::unfinished(&release);
        files::remove_tree(&new)?;
        for part in PARTS {
            copy_tree(&self.folder.join(part), &new.join(part))?;
        }
        // A damaged one makes way: nothing can be run from it anyway.
        files::remove_tree(&release)?;
        fs::rename(&new, &release).at("can't put in place", &release)?;
        files::sync_folder(&release)?;
        Ok(true)
    }

    /// Starts the programs of the copied tree, as containerd and the shim will.
    pub fn check(&self, host: &Host) -> Result<()> {
        let release = releases(host).join(&self.id);
        check_shim(&release)?;
        check_zygote(&release).map(drop)
    }

    /// From now on new containers get this release.
    pub fn activate(&self, host: &Host) -> Result<bool> {
        let link = host.link(&Path::new(PREFIX).join("current"));
        let target = Path::new("releases").join(&self.id);
        if fs::read_link(&link).is_ok_and(|there| there == target) {
            return Ok(false);
        }
        files::relink(&link, &target)?;
        Ok(true)
    }

    /// Removes other releases, but for those that containers still run with.
    pub fn remove_others(&self, host: &Host) -> Result<()> {
        for entry in fs::read_dir(releases(host)).into_iter().flatten().flatten() {
            let other = entry.path();
            if entry.file_name() != self.id.as_str() && processes::running_from(&other) == 0 {
                files::remove_tree(&other)?;
            }
        }
        Ok(())
    }
}

fn releases(host: &Host) -> PathBuf {
    host.path(Path::new(PREFIX).join("releases"))
}

/// The release that is installed, if one is.
pub fn current(host: &Host) -> Option<PathBuf> {
    let release = host.path(Path::new(PREFIX).join("current"));
    release.is_dir().then_some(release)
}

/// Whether a release is what its name says.
pub fn is_whole(release: &Path) -> bool {
    let name = release.file_name().unwrap_or_default();
    content_id(release).is_ok_and(|id| name == id.as_str())
}

/// How many containers of this shim there are, roughly: a pod has one server.
pub fn running(host: &Host) -> usize {
    fs::read_dir(releases(host))
        .into_iter()
        .flatten()
        .flatten()
        .map(|release| processes::running(&release.path().join("bin/containerd-shim-wasm-v1")))
        .sum()
}

/// Asks the shim what it is, as containerd 2 does.
pub fn check_shim(release: &Path) -> Result<()> {
    let shim = release.join("bin/containerd-shim-wasm-v1");
    let mut command = Command::new(&shim);
    command.arg("-info");
    let said = run(command, &shim)?;
    if String::from_utf8_lossy(&said).contains(RUNTIME) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{} -info does not say {RUNTIME}",
        shim.display()
    )))
}

/// Starts the zygote's program, which loads WasmEdge. Returns what it says.
pub fn check_zygote(release: &Path) -> Result<String> {
    let home = release.join(RUNTIME_FOLDER);
    let zygote = home.join("wasm-zygote");
    let loader = home.join("runtime/ld-linux-x86-64.so.2");
    let mut command = if loader.exists() {
        let mut command = Command::new(loader);
        command
            .arg("--library-path")
            .arg(home.join("runtime"))
            .arg(&zygote);
        command
    } else {
        Command::new(&zygote)
    };
    command.arg("-v");
    let said = run(command, &zygote)?;
    Ok(String::from_utf8_lossy(&said).trim().into())
}

fn run(mut command: Command, program: &Path) -> Result<Vec<u8>> {
    let failed = |reason: String| Error::Command {
        command: program.display().to_string(),
        reason,
    };
    let output = command
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(failed(format!("{}: {said}", output.status)))
}

/// A hash over paths, modes and contents.
fn content_id(folder: &Path) -> Result<String> {
    let mut paths = Vec::new();
    for part in PARTS {
        list(&folder.join(part), &mut paths)?;
    }
    paths.sort();
    let mut all = Sha256::new();
    for path in paths {
        let mut file = File::open(&path).at("can't open", &path)?;
        let mode = file
            .metadata()
            .at("can't look at", &path)?
            .permissions()
            .mode()
            & 0o111;
        let mut hash = Sha256::new();
        io::copy(&mut file, &mut hash).at("can't read", &path)?;
        let below = path.strip_prefix(folder).unwrap_or(&path);
        all.update(format!("{} {mode:o}\0", below.display()));
        all.update(hash.finalize());
    }
    Ok(all
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn list(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).at("can't list", folder)? {
        let path = entry.at("can't list", folder)?.path();
        if path.is_dir() {
            list(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).at("can't make", to)?;
    for entry in fs::read_dir(from).at("can't list", from)? {
        let from = entry.at("can't list", from)?.path();
        let to = to.join(from.file_name().unwrap_or_default());
        if from.is_dir() {
            copy_tree(&from, &to)?;
        } else {
            fs::copy(&from, &to).at("can't copy to", &to)?;
            let mut file = File::options()
                .append(true)
                .open(&to)
                .at("can't open", &to)?;
            file.flush()
                .and_then(|()| file.sync_all())
                .at("can't write", &to)?;
        }
    }
    Ok(())
}
