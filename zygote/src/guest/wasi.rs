use std::collections::HashMap;

use oci::Workload;
use wasmedge_sdk::error::{CoreCommonError, CoreError, WasmEdgeError};
use wasmedge_sdk::vm::SyncInst;
use wasmedge_sdk::{Store, Vm, WasmEdgeResult};

use super::module::{ENTRY, Module, reason};
use super::preopens;
use crate::fds;
use crate::fork::exit;
use crate::title;

/// As a program ends that calls `abort`: 128 + SIGABRT.
const TRAPPED: i32 = 134;

/// Runs a module until it ends, and ends the process with its exit code.
pub fn run(mut module: Module, workload: &Workload) -> ! {
    name_process(workload);
    fds::close_all_but_stdio();
    let ran = preopens::open(workload).and_then(|wasi| {
        module.wasi = wasi;
        call_entry(&mut module)
    });
    let code = match ran {
        Ok(()) => exit_code(&module),
        Err(error) => match *error {
            WasmEdgeError::Core(CoreError::Common(CoreCommonError::Terminated)) => {
                exit_code(&module)
            }
            trap => {
                eprintln!("wasm trap: {}", reason(&trap));
                TRAPPED
            }
        },
    };
    exit(code)
}

fn call_entry(module: &mut Module) -> WasmEdgeResult<()> {
    let name = module.wasi.name().to_owned();
    let instances: HashMap<String, &mut dyn SyncInst> =
        HashMap::from([(name, module.wasi.as_mut() as &mut dyn SyncInst)]);
    let mut vm = Vm::new(Store::new(Some(&module.config), instances)?);
    vm.register_module(None, module.ast.clone())?;
    vm.run_func(None, ENTRY, [])?;
    Ok(())
}

/// What the program gave `proc_exit`, 0 if it returned.
fn exit_code(module: &Module) -> i32 {
    i32::try_from(module.wasi.exit_code() & 0xff).unwrap_or(TRAPPED)
}

/// Shows the program's name where tools list processes, in place of the zygote's.
fn name_process(workload: &Workload) {
    title::set(&workload.args);
    let name = workload.args[0].rsplit('/').next().unwrap_or_default();
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
}
