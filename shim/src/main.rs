//! `containerd-shim-wasm-v1`: a containerd shim v2 that runs WebAssembly modules.
//!
//! One binary, four roles: `start` (short-lived, forks the server), the server
//! (one for a pod, or for a container outside a pod), `delete` (short-lived,
//! cleans up after a server that died) and `-info`. See docs/design.md.

mod address;
mod args;
mod artifact;
mod cgroup;
mod cgroup_path;
mod child;
mod connection;
mod console;
mod container;
mod content;
mod counts;
mod delete;
mod end;
mod error;
mod event;
mod events;
mod exec;
mod exit_info;
mod fork;
mod freezer;
mod info;
mod inherited;
mod launcher;
mod library;
mod log_uri;
mod logging;
mod message;
mod metrics;
mod oom;
mod options;
mod output;
mod preparation;
mod process;
mod read_only;
mod rootfs;
mod server;
mod service;
mod settings;
mod signal;
mod slots;
mod socket;
mod spans;
mod start;
mod stdin;
mod stdio;
mod tasks;
mod trace;
mod watched;
mod zygote;
mod zygote_process;

use std::process::ExitCode;

use args::{Action, Args};

fn main() -> ExitCode {
    let result = Args::parse(std::env::args().skip(1)).and_then(|args| match args.action {
        Action::Version => {
            println!("{}", version());
            Ok(())
        }
        Action::Info => info::print(),
        Action::Start => start::start(&args),
        Action::Delete => delete::delete(&args),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // containerd shows what it finds here to the person at the client.
            eprintln!("containerd-shim-wasm-v1: {error}");
            ExitCode::FAILURE
        }
    }
}

fn version() -> String {
    format!(
        "containerd-shim-wasm-v1:\n  Version:  {}\n  Revision: {}",
        env!("CARGO_PKG_VERSION"),
        option_env!("SHIM_REVISION").unwrap_or("unknown"),
    )
}
