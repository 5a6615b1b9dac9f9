use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci::Budget;
use rustix::fs::{PROC_SUPER_MAGIC, statfs};
use wasmedge_sdk::config::Config;

use super::file;
use super::host_proc::HostProc;
use super::library::Library;
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
        let again = file
            .try_clone()
            .map_err(|error| file::describe(&error, path))?;
        let bytes = file::module(file, path, budget)?;
        trace::done("module read");
        if has_proc()
            && let Some(code) = self.library.native(&bytes, &again)
        {
            match self.load_code(configs, path, code) {
                Some(module) => {
                    trace::done("native code loaded");
                    return Ok(module);
                }
                None => self.library.discard(&bytes),
            }
        }
        let module = Module::load(configs.interpreted, path, &bytes);
        trace::done("module loaded");
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

/// Whether descriptors have paths. Not where a module is added to a container
/// of another, whose /proc is gone.
fn has_proc() -> bool {
    statfs("/proc").is_ok_and(|filesystem| filesystem.f_type == PROC_SUPER_MAGIC)
}
