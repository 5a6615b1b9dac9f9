//! The shim's compiler, which is a part of the zygote's program.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use store::{Key, Store};

use crate::error::{Error, Result};

/// The folder of the zygote and its libraries, from the folder of this binary.
const FILES: &str = "../lib/containerd-shim-wasm";

#[derive(Debug)]
pub struct Zygote {
    files: PathBuf,
}

impl Zygote {
    /// The one that is installed in one tree with this program.
    pub fn find() -> Result<Self> {
        let own = std::env::current_exe().unwrap_or_default();
        let files = own.parent().unwrap_or(Path::new("/")).join(FILES);
        let files = files.canonicalize().unwrap_or(files);
        match files.join("wasm-zygote").exists() {
            true => Ok(Self { files }),
            false => Err(Error::NoZygote(files.join("wasm-zygote"))),
        }
    }

    /// What native code of this module is called.
    pub fn key(&self, module: File) -> Result<Key> {
        let mut command = self.command();
        command.arg("key");
        let said = self.run(command, module)?;
        Key::parse(said.trim()).ok_or_else(|| self.failed(&said))
    }

    /// Which WasmEdge and CPU native code can be used with.
    pub fn platform(&self) -> Result<String> {
        // The key of any content has it.
        let nothing = Path::new("/dev/null");
        let file = File::open(nothing).map_err(|source| Error::Read {
            path: nothing.into(),
            source,
        })?;
        Ok(self.key(file)?.platform().to_owned())
    }

    /// Returns when there is the best code that can be made, or the note that
    /// none can.
    pub fn compile(&self, store: &Store, key: &Key, module: File) -> Result<()> {
        let mut command = self.command();
        command.args(["compile", "--wait-best"]);
        command.arg(store.folder()).arg(key.to_string());
        self.run(command, module).map(drop)
    }

    fn command(&self) -> Command {
        ipc::zygote_program(&self.files, &self.files)
    }

    /// Returns what it said.
    fn run(&self, mut command: Command, module: File) -> Result<String> {
        command
            .stdin(module)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = command.output().map_err(|source| Error::Run {
            path: self.files.join("wasm-zygote"),
            source,
        })?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(self.failed(&String::from_utf8_lossy(&output.stderr))),
        }
    }

    fn failed(&self, said: &str) -> Error {
        Error::Zygote {
            path: self.files.join("wasm-zygote"),
            said: said.trim().to_owned(),
        }
    }
}
