//! `containerd-shim-wasmedge-v1` on runwasi's crate, as its authors show how to
//! use it: a command's `_start`, arguments, environment, and the container's
//! root as the one preopen.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use containerd_shim_wasm::sandbox::Sandbox;
use containerd_shim_wasm::sandbox::context::RuntimeContext;
use containerd_shim_wasm::shim::{Cli, Shim, Version, version};
use wasmedge_sdk::vm::SyncInst;
use wasmedge_sdk::wasi::WasiModule;
use wasmedge_sdk::{Module, Store, Vm};

struct WasmEdge;

#[derive(Default)]
struct Guest;

impl Shim for WasmEdge {
    type Sandbox = Guest;

    fn name() -> &'static str {
        "wasmedge"
    }

    fn version() -> Version {
        version!()
    }
}

impl Sandbox for Guest {
    async fn run_wasi(&self, context: &impl RuntimeContext) -> Result<i32> {
        let entrypoint = context.entrypoint();
        let args = context.args().iter().map(String::as_str).collect();
        let envs = context.envs().iter().map(String::as_str).collect();
        let mut wasi = WasiModule::create(Some(args), Some(envs), Some(vec!["/:/"]))?;
        let bytes = entrypoint.source.as_bytes()?;
        let module = Module::from_bytes(None, bytes).context("not a module")?;
        let instances: HashMap<String, &mut dyn SyncInst> =
            HashMap::from([(wasi.name().to_owned(), wasi.as_mut() as &mut dyn SyncInst)]);
        let mut vm = Vm::new(Store::new(None, instances)?);
        vm.register_module(None, module)?;
        let ran = vm.run_func(None, &entrypoint.func, []);
        drop(vm);
        match ran {
            Ok(_) => Ok(i32::try_from(wasi.exit_code())?),
            Err(_) if wasi.exit_code() != 0 => Ok(i32::try_from(wasi.exit_code())?),
            Err(error) => bail!("{error}"),
        }
    }
}

fn main() {
    WasmEdge::run(None);
}
