use std::path::Path;

use wasmedge_sdk::config::{CommonConfigOptions, Config, ConfigBuilder};
use wasmedge_sdk::error::{CoreError, WasmEdgeError};
use wasmedge_sdk::wasi::WasiModule;
use wasmedge_sdk::{AsInstance, ExternalInstanceType, ImportType, LogManager};

/// The function that a program begins at (WASI preview 1, "command").
pub const ENTRY: &str = "_start";

/// A module that was loaded, validated, and found to have what it needs.
pub struct Module {
    pub ast: wasmedge_sdk::Module,
    pub config: Config,
    pub wasi: WasiModule,
}

impl Module {
    /// `path` is for messages only. An error is one sentence for the user.
    pub fn load(path: &Path, bytes: &[u8]) -> Result<Self, String> {
        // What WasmEdge has to say is said once, by us.
        LogManager::log_off();
        let shown = path.display();
        let config = config().map_err(|error| format!("WasmEdge can't be set up: {error}"))?;
        let ast = wasmedge_sdk::Module::from_bytes(Some(&config), bytes).map_err(|error| {
            format!(
                "{shown} is not a valid WebAssembly module: {}",
                reason(&error)
            )
        })?;
        let wasi = WasiModule::create(None, None, None)
            .map_err(|error| format!("WASI can't be set up: {error}"))?;
        check_imports(&ast, &wasi).map_err(|error| format!("{shown} {error}"))?;
        check_entry(&ast).map_err(|error| format!("{shown} {error}"))?;
        Ok(Self { ast, config, wasi })
    }
}

/// Interpreted always: native code inside a module file (a custom section of
/// WasmEdge's) is not of our making and must not run.
fn config() -> wasmedge_sdk::WasmEdgeResult<Config> {
    ConfigBuilder::new(CommonConfigOptions::default().interpreter_mode(true)).build()
}

fn check_imports(ast: &wasmedge_sdk::Module, wasi: &WasiModule) -> Result<(), String> {
    let provided = wasi.as_ref().func_names().unwrap_or_default();
    let is_missing = |import: &ImportType<'_>| {
        import.module_name() != wasi.name() || !provided.iter().any(|name| *name == import.name())
    };
    match ast.imports().iter().find(|import| is_missing(import)) {
        None => Ok(()),
        Some(import) => Err(format!(
            "imports {:?} from {:?}, which nothing provides; it can import the functions of {:?}",
            import.name(),
            import.module_name(),
            wasi.name()
        )),
    }
}

fn check_entry(ast: &wasmedge_sdk::Module) -> Result<(), String> {
    match ast.get_export(ENTRY) {
        Some(ExternalInstanceType::Func(function))
            if function.args_len() == 0 && function.returns_len() == 0 =>
        {
            Ok(())
        }
        Some(_) => Err(format!(
            "exports {ENTRY:?}, but not as a function without parameters and results"
        )),
        None => {
            let mut names: Vec<_> = ast
                .exports()
                .iter()
                .map(|export| export.name().into_owned())
                .collect();
            names.sort();
            Err(format!(
                "exports no function {ENTRY:?} to begin at; it exports: {}",
                if names.is_empty() {
                    "nothing".to_owned()
                } else {
                    names.join(", ")
                }
            ))
        }
    }
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

/// Does in the zygote, once, what each guest would have to do again: WasmEdge
/// sets up its tables and the loader binds its functions on first use.
pub fn warm_up() {
    LogManager::log_off();
    // The smallest module there is: magic and version. Nothing of a guest.
    let _ = Module::load(Path::new(""), b"\0asm\x01\0\0\0");
}

pub fn version() -> String {
    wasmedge_sdk::utils::CoreVersion::version_string()
}
