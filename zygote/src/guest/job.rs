use std::fs::File;
use std::path::Path;

use oci::{Budget, Candidate, Workload};
use wasmedge_sdk::config::{CommonConfigOptions, Config, ConfigBuilder, RuntimeConfigOptions};
use wasmedge_sdk::wasi::WasiModule;
use wasmedge_sdk::{LogManager, WasmEdgeResult};

use super::artifact::Given;
use super::link::{self, Import};
use super::loader::{Configs, Loader};
use super::module::Module;

/// A Wasm program that was found to have all that it needs.
pub struct Job {
    /// That to run with: it knows how far memories may grow.
    pub config: Config,
    pub wasi: WasiModule,
    /// In the order to link them, before the entry.
    pub imports: Vec<Import>,
    pub entry: Module,
    /// Whether the entry's `_initialize` is to be called first.
    pub initialize: bool,
    /// The function of the entry to call.
    pub function: String,
    /// The guest's argv.
    pub args: Vec<String>,
}

impl Job {
    /// The program is a module; with it come those of its import modules that
    /// are not in the container. An error is one sentence for the user.
    pub fn prepare(
        workload: &Workload,
        program: &Candidate,
        (file, given): (File, Vec<Given>),
        loader: &Loader<'_>,
    ) -> Result<Self, String> {
        // What WasmEdge has to say is said once, by us.
        LogManager::log_off();
        let config = |pages, interpreted| {
            config(pages, interpreted).map_err(|error| format!("WasmEdge can't be set up: {error}"))
        };
        let mut budget = Budget::new(workload.memory_limit);
        let pages = budget.max_pages();
        let (interpreted, native) = (config(pages, true)?, config(pages, false)?);
        let configs = Configs {
            interpreted: &interpreted,
            native: &native,
        };
        let entry = loader.load(configs, &program.path, file, &mut budget)?;
        let wasi = WasiModule::create(None, None, None)
            .map_err(|error| format!("WASI can't be set up: {error}"))?;
        let imports = link::load(loader, configs, link::wanted(workload, given)?, &mut budget)?;
        link::check(&wasi, &imports, &entry)?;
        let function = workload.function(program).to_owned();
        if function.is_empty() {
            return Err(format!(
                "process.args[0] {:?} names no function of {} after the #",
                workload.args[0], entry.shown
            ));
        }
        entry.check_callable(&function)?;
        Ok(Self {
            config: config(budget.max_pages(), !loader.has_native())?,
            wasi,
            imports,
            // `_start` of a command does what `_initialize` would do.
            initialize: function != oci::START && entry.is_reactor()?,
            entry,
            function,
            args: workload.wasi_args(program),
        })
    }
}

/// `pages`: the most that a linear memory may have.
fn config(pages: u32, interpreted: bool) -> WasmEdgeResult<Config> {
    ConfigBuilder::new(CommonConfigOptions::default().interpreter_mode(interpreted))
        .with_runtime_config(RuntimeConfigOptions::default().max_memory_pages(pages))
        .build()
}

/// Does in the zygote, once, what each guest would have to do again: WasmEdge
/// sets up its tables and the loader binds its functions on first use.
pub fn warm_up() {
    LogManager::log_off();
    // The smallest module there is: magic and version. Nothing of a guest.
    let _ = config(1, true).map(|config| Module::load(&config, Path::new(""), b"\0asm\x01\0\0\0"));
    let _ = WasiModule::create(None, None, None);
    super::library::platform();
}
