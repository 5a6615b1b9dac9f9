//! Packs a WebAssembly module into an OCI image or artifact, for people who
//! have a `.wasm` and no Docker, says what is in such an archive, and looks
//! after the native code of a node.
#![forbid(unsafe_code)]

mod cache;
mod cli;
mod digest;
mod error;
mod inspect;
mod module;
mod pack;
mod precompile;
mod zygote;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Pack(options) => pack::run(&options),
        Command::Inspect(options) => inspect::run(&options),
        Command::Precompile(options) => precompile::run(&options),
        Command::Cache(options) => cache::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wasm-oci: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
