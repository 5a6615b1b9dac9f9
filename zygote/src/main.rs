//! The zygote: one process with WasmEdge loaded that forks containers.
//!
//! It has one thread, reads no byte of a guest and holds no secret. See
//! docs/design.md, "Processes".

mod child_signal;
mod compile;
mod empty_mounts;
mod epoll;
mod error;
mod fds;
mod fork;
mod guest;
mod launcher;
mod lighten;
mod own_cgroup;
mod reaper;
mod spare;
mod trace;
mod zygote;

use std::path::Path;
use std::process::ExitCode;

use compile::Wait;
use figures::Figures;

const USAGE: &str = "wasm-zygote is started by containerd-shim-wasm-v1:
  wasm-zygote serve SOCKET       serve shims; standard input listens at SOCKET
  wasm-zygote compile [--wait | --wait-best] STORE KEY [METRICS]
                                 make native code of the module on standard input
  wasm-zygote key                print the key of the module on standard input
  wasm-zygote -v                 print the version";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", socket] => done(zygote::serve(Path::new(socket))),
        ["compile", "--wait", ref of @ ..] => compile(of, Wait::First),
        ["compile", "--wait-best", ref of @ ..] => compile(of, Wait::Best),
        ["compile", ref of @ ..] => compile(of, Wait::No),
        ["key"] => done(compile::key().map(|key| println!("{key}"))),
        ["-v"] => {
            println!(
                "wasm-zygote {} (WasmEdge {})",
                env!("CARGO_PKG_VERSION"),
                guest::wasmedge_version()
            );
            ExitCode::SUCCESS
        }
        _ => misused(),
    }
}

fn compile(of: &[&str], wait: Wait) -> ExitCode {
    let (store, key, metrics) = match *of {
        [store, key] => (store, key, None),
        [store, key, metrics] => (store, key, Some(metrics.into())),
        _ => return misused(),
    };
    let figures = Figures::at(metrics);
    done(compile::compile(Path::new(store), key, wait, &figures))
}

fn misused() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn done(result: error::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wasm-zygote: {error}");
            ExitCode::FAILURE
        }
    }
}
