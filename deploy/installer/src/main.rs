//! `wasm-node-installer`: puts containerd-shim-wasm-v1 on a node, tells containerd
//! of it, and takes both away again. See docs/operations.md.
#![forbid(unsafe_code)]

mod bundle;
mod cli;
mod config;
mod doctor;
mod error;
mod files;
mod host;
mod install;
mod label;
mod layout;
mod processes;
mod ready;
mod restart;
mod state;
#[cfg(test)]
mod tests;
mod version;

use std::process::ExitCode;

use clap::Parser;
use nix::sys::signal::{SigSet, Signal};

use cli::{Change, Cli, Command, Node};
use error::{Error, Result};
use host::Host;
use install::Request;
use label::Api;
use layout::{Kind, Layout};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Install(change) => install(&change),
        Command::Run(change) => until_told(|| install(&change)),
        Command::Uninstall(change) => uninstall(&change),
        Command::RunUninstall(change) => until_told(|| uninstall(&change)),
        Command::Doctor(node) => match examine(&node) {
            Ok(true) => return ExitCode::FAILURE,
            other => other.map(drop),
        },
        Command::Ready => ready::ask(ready::NAME),
        Command::OnNode { line } => {
            return ExitCode::from(u8::try_from(host::become_program(&line)).unwrap_or(1));
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wasm-node-installer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn install(change: &Change) -> Result<()> {
    install::install(&request(change)?)?;
    label(change, true)
}

/// The label goes first: no pod may come while the runtime goes.
fn uninstall(change: &Change) -> Result<()> {
    label(change, false)?;
    install::uninstall(&request(change)?)
}

fn label(change: &Change, installed: bool) -> Result<()> {
    let Some(api) = Api::of_pod(change.node_name.as_deref())? else {
        return Ok(());
    };
    api.label(installed)?;
    println!(
        "label {} is {}",
        label::LABEL,
        if installed { "set" } else { "gone" }
    );
    Ok(())
}

/// Returns whether there are problems.
fn examine(node: &Node) -> Result<bool> {
    let host = Host::new(&node.host_root)?;
    let report = doctor::examine(&host, layout(node))?;
    print!("{report}");
    Ok(report.has_problems())
}

fn request(change: &Change) -> Result<Request> {
    Ok(Request {
        host: Host::new(&change.node.host_root)?,
        layout: layout(&change.node),
        bundle: change.bundle.clone(),
        may_restart: !change.no_restart,
        force: change.force,
    })
}

fn layout(node: &Node) -> Option<Layout> {
    if node.kind.is_none() && node.config.is_none() {
        return None;
    }
    let kind = node.kind.unwrap_or(Kind::Containerd);
    Some(Layout::new(kind, node.config.clone()))
}

/// Does something, and then waits for SIGTERM: a DaemonSet's pod that ends would be
/// started again. The signal is blocked, as a pid 1 would not be ended by it.
fn until_told(what: impl FnOnce() -> Result<()>) -> Result<()> {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    let system = |what| {
        move |error: nix::Error| Error::System {
            what,
            source: error.into(),
        }
    };
    signals
        .thread_block()
        .map_err(system("can't block signals"))?;
    what()?;
    let _ready = ready::tell(ready::NAME);
    signals
        .wait()
        .map(drop)
        .map_err(system("can't wait for a signal"))
}
