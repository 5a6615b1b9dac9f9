use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use oci::Format;
use wasmedge_sdk::config::Config;
use wasmedge_sdk::error::{CoreError, WasmEdgeError};
use wasmedge_sdk::{ExternalInstanceType, FuncType, WasmEdgeResult};

/// What a reactor wants called before anything else (WASI preview 1).
pub const INITIALIZE: &str = "_initialize";

/// More would hide the sentence that they are part of.
const SHOWN_EXPORTS: usize = 30;

/// One file, loaded and validated.
pub struct Module {
    pub ast: wasmedge_sdk::Module,
    /// Its path, for messages.
    pub shown: String,
    /// What it offers, by name; without a type if that is one WasmEdge's API
    /// can't tell.
    pub exports: BTreeMap<String, Option<ExternalInstanceType>>,
}

impl Module {
    /// `path` is for messages only. An error is one sentence for the user.
    pub fn load(config: &Config, path: &Path, bytes: &[u8]) -> Result<Self, String> {
        let shown = path.display().to_string();
        check_format(&shown, bytes)?;
        let ast = wasmedge_sdk::Module::from_bytes(Some(config), bytes).map_err(|error| {
            format!(
                "{shown} is not a valid WebAssembly module: {}",
                reason(&error)
            )
        })?;
        Ok(Self::new(ast, shown))
    }

    /// A module's native code in place of the module. `path` is the module's.
    pub fn native(config: &Config, path: &Path, code: &Path) -> WasmEdgeResult<Self> {
        let ast = wasmedge_sdk::Module::from_file(Some(config), code)?;
        Ok(Self::new(ast, path.display().to_string()))
    }

    fn new(ast: wasmedge_sdk::Module, shown: String) -> Self {
        let exports = ast
            .exports()
            .iter()
            .map(|export| (export.name().into_owned(), export.ty().ok()))
            .collect();
        Self {
            ast,
            shown,
            exports,
        }
    }

    /// The names of the modules that it imports from, each once.
    pub fn import_names(&self) -> Vec<String> {
        let imports = self.ast.imports();
        let names: BTreeSet<_> = imports
            .iter()
            .map(|import| import.module_name().into_owned())
            .collect();
        names.into_iter().collect()
    }

    /// Whether this is a reactor; an error if `_initialize` can't be called.
    pub fn is_reactor(&self) -> Result<bool, String> {
        if !self.exports.contains_key(INITIALIZE) {
            return Ok(false);
        }
        self.check_callable(INITIALIZE).map(|()| true)
    }

    /// Whether there is a function of this name that can be called as it is.
    pub fn check_callable(&self, name: &str) -> Result<(), String> {
        let shown = &self.shown;
        match self.exports.get(name) {
            Some(Some(ExternalInstanceType::Func(function))) if is_plain(function) => Ok(()),
            Some(_) => Err(format!(
                "{shown} exports {name:?}, but not as a function without parameters and results; \
                 it exports: {}",
                self.export_names()
            )),
            None => Err(format!(
                "{shown} exports no function {name:?}; it exports: {}",
                self.export_names()
            )),
        }
    }

    /// For messages: the first of them, quoted, as they may hold anything.
    fn export_names(&self) -> String {
        if self.exports.is_empty() {
            return "nothing".into();
        }
        let names: Vec<_> = self
            .exports
            .keys()
            .take(SHOWN_EXPORTS)
            .map(|name| format!("{name:?}"))
            .collect();
        let rest = self.exports.len().saturating_sub(SHOWN_EXPORTS);
        let rest = if rest > 0 {
            format!(" and {rest} more")
        } else {
            String::new()
        };
        format!("{}{rest}", names.join(", "))
    }
}

/// What WasmEdge would say less of.
fn check_format(shown: &str, bytes: &[u8]) -> Result<(), String> {
    match Format::of(bytes) {
        Format::Module => Ok(()),
        Format::Component => Err(format!(
            "{shown} is a WebAssembly component; this runtime runs core modules: \
             build it for wasip1 (for Rust: --target wasm32-wasip1)"
        )),
        Format::UnknownWasm => Err(format!(
            "{shown} starts like WebAssembly but is no module of version 1; \
             it may be cut short"
        )),
        Format::Native | Format::Unknown => Err(format!(
            "{shown} is no WebAssembly module: it does not start with \\0asm"
        )),
    }
}

fn is_plain(function: &FuncType) -> bool {
    function.args_len() == 0 && function.returns_len() == 0
}

/// WasmEdge's own words, without the layers around them.
pub fn reason(error: &WasmEdgeError) -> String {
    match error {
        WasmEdgeError::Core(core) => match core {
            CoreError::Common(error) => error.to_string(),
            CoreError::Load(error) => error.to_string(),
            CoreError::Validation(error) => error.to_string(),
            CoreError::Instantiation(error) => error.to_string(),
            CoreError::Execution(error) => error.to_string(),
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

pub fn version() -> String {
    wasmedge_sdk::utils::CoreVersion::version_string()
}
