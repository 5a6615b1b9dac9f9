use std::collections::HashMap;
use std::mem::ManuallyDrop;

use oci::Workload;
use wasmedge_sdk::error::{CoreCommonError, CoreError, WasmEdgeError};
use wasmedge_sdk::vm::SyncInst;
use wasmedge_sdk::{Store, Vm, WasmEdgeResult};

use super::job::Job;
use super::module::{INITIALIZE, reason};
use super::preopens;
use crate::fds;
use crate::fork::exit;

/// As a program ends that calls `abort`: 128 + SIGABRT.
const TRAPPED: i32 = 134;

/// Runs a module until it ends, and ends the process with its exit code.
pub fn run(mut job: Job, workload: &Workload) -> ! {
    name_process(&job.args);
    fds::close_all_but_stdio();
    let ran = preopens::open(workload, &job.args).and_then(|wasi| {
        job.wasi = wasi;
        call(&mut job)
    });
    let code = match ran {
        Ok(()) => exit_code(&job),
        Err(error) => match *error {
            WasmEdgeError::Core(CoreError::Common(CoreCommonError::Terminated)) => exit_code(&job),
            trap => {
                eprintln!("wasm trap: {}", reason(&trap));
                TRAPPED
            }
        },
    };
    exit(code)
}

fn call(job: &mut Job) -> WasmEdgeResult<()> {
    let name = job.wasi.name().to_owned();
    let instances: HashMap<String, &mut dyn SyncInst> =
        HashMap::from([(name, job.wasi.as_mut() as &mut dyn SyncInst)]);
    let vm = Vm::new(Store::new(Some(&job.config), instances)?);
    // Never taken down: the process ends right after, and what is linked
    // across modules needs no order of ending then.
    let mut vm = ManuallyDrop::new(vm);
    for import in &job.imports {
        vm.register_module(Some(&import.name), import.module.ast.clone())?;
        if import.initialize {
            vm.run_func(Some(&import.name), INITIALIZE, [])?;
        }
    }
    vm.register_module(None, job.entry.ast.clone())?;
    if job.initialize {
        vm.run_func(None, INITIALIZE, [])?;
    }
    vm.run_func(None, &job.function, [])?;
    Ok(())
}

/// What the program gave `proc_exit`, 0 if it returned.
fn exit_code(job: &Job) -> i32 {
    i32::try_from(job.wasi.exit_code() & 0xff).unwrap_or(TRAPPED)
}

/// Shows the program's name where tools list processes, in place of the zygote's.
fn name_process(args: &[String]) {
    title::set(args);
    let name = args[0].rsplit('/').next().unwrap_or_default();
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
}
