use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci::Budget;
use rustix::fs::{PROC_SUPER_MAGIC, statfs};
use wasmedge_sdk::config::Config;

use super::file;
use super::host_proc::HostProc;
use super::library::{Library, key};
use super::module::Module;
use crate::trace;

/// Loads modules: as native code where there is some, to be interpreted
/// otherwise.
pub struct Loader<'a> {
    library: &'a Library,
    proc: &'a HostProc,
    /// WasmEdge maps code by a path that names its descriptor, and takes a path
    /// that it has seen for the same code: each keeps its number.
    codes: RefCell<Vec<OwnedFd>>,
    has_native: Cell<bool>,
}

/// How to load a module.
#[derive(Debug, Clone, Copy)]
pub struct Configs<'a> {
    /// What is in a module's file is interpreted always: native code in it (a
    /// custom section of WasmEdge's) is not of our making and must not run.
    pub interpreted: &'a Config,
    pub native: &'a Config,
}

impl<'a> Loader<'a> {
    pub fn new(library: &'a Library, proc: &'a HostProc) -> Self {
        Self {
            library,
            proc,
            codes: RefCell::default(),
            has_native: Cell::new(false),
        }
    }

    /// An error is one sentence for the user.
    pub fn load(
        &self,
        configs: Configs<'_>,
        path: &Path,
        file: File,
        budget: &mut Budget,
    ) -> Result<Module, String> {
        let source = file::Module::new(&file, path, budget)?;
        if let Some(module) = self.load_native(configs, path, &source, &file) {
            return Ok(module);
        }
        let bytes = source.bytes()?;
        trace::done("module read");
        let module = Module::load(configs.interpreted, path, &bytes);
        trace::done("module loaded");
        module
    }

    /// Native code of the module, if there is some that can be used.
    fn load_native(
        &self,
        configs: Configs<'_>,
        path: &Path,
        source: &file::Module<'_>,
        file: &File,
    ) -> Option<Module> {
        if !self.library.is_open() || !has_proc() {
            return None;
        }
        // What can't be read fails when it is interpreted, with a sentence.
        let key = key(source.reader()).ok()?;
        trace::done("module hashed");
        let code = self.library.native(&key, file)?;
        trace::done("native code found");
        let module = self.load_code(configs, path, code);
        if module.is_none() {
            self.library.discard(&key);
        }
        trace::done("native code loaded");
        module
    }

    fn load_code(&self, configs: Configs<'_>, path: &Path, code: OwnedFd) -> Option<Module> {
        // WasmEdge wants a path; the container's /proc is still there.
        let named = PathBuf::from(format!("/proc/self/fd/{}", code.as_raw_fd()));
        self.codes.borrow_mut().push(code);
        let module = Module::native(configs.native, path, &named).ok()?;
        self.has_native.set(true);
        Some(module)
    }

    pub fn proc(&self) -> &HostProc {
        self.proc
    }

    /// Whether one of the modules is native code.
    pub fn has_native(&self) -> bool {
        self.has_native.get()
    }
}

/// Whether descriptors have paths, which lead to them and not to what an image has
/// had mounted there. Not where a module is added to a container of another, whose
/// /proc is gone.
fn has_proc() -> bool {
    statfs("/proc/self/fd").is_ok_and(|filesystem| filesystem.f_type == PROC_SUPER_MAGIC)
}
