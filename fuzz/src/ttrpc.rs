//! Any request to the task service, up to where it would do something: the
//! frame's payload, the method's message, and what the shim reads in that.
#![no_main]
// Of the shim's sources, which are those of a program, only the readers are used.
#![allow(dead_code)]

#[path = "../../shim/src/child.rs"]
mod child;
#[path = "../../shim/src/error.rs"]
mod error;
#[path = "../../shim/src/log_uri.rs"]
mod log_uri;
#[path = "../../shim/src/options.rs"]
mod options;
#[path = "../../shim/src/signal.rs"]
mod signal;
#[path = "../../shim/src/watched.rs"]
mod watched;

use containerd_shim_protos::api::{
    CreateTaskRequest, ExecProcessRequest, KillRequest, ResizePtyRequest, UpdateTaskRequest,
};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::ttrpc::Request;
use libfuzzer_sys::fuzz_target;
use log_uri::{LogUri, fifo_path};
use options::RuntimeOptions;

fuzz_target!(|input: (u8, &[u8])| {
    let (method, bytes) = input;
    // As it comes, and as the payload of a request.
    let request = Request::parse_from_bytes(bytes).unwrap_or_default();
    for payload in [bytes, &request.payload] {
        read(method, payload);
    }
});

fn read(method: u8, payload: &[u8]) {
    match method % 5 {
        0 => {
            let Ok(create) = CreateTaskRequest::parse_from_bytes(payload) else {
                return;
            };
            let _ = RuntimeOptions::parse(create.options.as_ref());
            streams([&create.stdin, &create.stdout, &create.stderr]);
        }
        1 => {
            let Ok(exec) = ExecProcessRequest::parse_from_bytes(payload) else {
                return;
            };
            streams([&exec.stdin, &exec.stdout, &exec.stderr]);
            let spec = exec.spec.into_option().unwrap_or_default();
            let process = serde_json::from_slice::<oci::spec::Process>(&spec.value);
            if let Ok(process) = process {
                let _ = oci::Workload::of_process(&oci::spec::Spec::default(), &process);
            }
        }
        2 => {
            if let Ok(kill) = KillRequest::parse_from_bytes(payload)
                && let Ok(signal) = signal::signal(kill.signal)
            {
                assert!((1..=64).contains(&signal.as_raw()));
            }
        }
        3 => {
            if let Ok(update) = UpdateTaskRequest::parse_from_bytes(payload) {
                let resources = update.resources.into_option().unwrap_or_default();
                let _ = serde_json::from_slice::<oci::spec::LinuxResources>(&resources.value);
            }
        }
        _ => drop(ResizePtyRequest::parse_from_bytes(payload)),
    }
}

fn streams(uris: [&String; 3]) {
    for uri in uris {
        match LogUri::parse(uri) {
            Ok(Some(LogUri::File(path))) => assert!(path.is_absolute()),
            Ok(Some(LogUri::Binary { program, args })) => {
                assert!(program.is_absolute());
                assert!(args.iter().all(|arg| !arg.is_empty()));
            }
            Ok(None) => assert!(uri.ends_with(fifo_path(uri))),
            Err(_) => {}
        }
    }
}
