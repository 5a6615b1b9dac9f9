//! Packs a WebAssembly module into an OCI image or artifact, for people who
//! have a `.wasm` and no Docker, and says what is in such an archive.
#![forbid(unsafe_code)]

mod cli;
mod digest;
mod error;
mod inspect;
mod module;
mod pack;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Pack(options) => pack::run(&options),
        Command::Inspect(options) => inspect::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wasm-oci: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
