//! Installing and uninstalling, step by step. Each step can be the last one, and
//! doing all of them again is right.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::bundle::{self, Bundle};
use crate::config::plan::{self, Change, Plan};
use crate::error::{Error, Result};
use crate::files;
use crate::host::Host;
use crate::layout::{Kind, LINK, Layout, PREFIX, SHIM};
use crate::restart::{self, Outcome};
use crate::state::State;
use crate::version::Version;

#[derive(Debug)]
pub struct Request {
    pub host: Host,
    pub layout: Option<Layout>,
    pub bundle: Option<PathBuf>,
    pub may_restart: bool,
    /// Uninstall under running containers.
    pub force: bool,
}

pub fn install(request: &Request) -> Result<()> {
    let host = &request.host;
    let mut state = State::load(host)?;
    let layout = layout(request, &state)?;
    // What is wrong with the configuration is found before anything is changed.
    let containerd = Version::of_containerd(host);
    let plan = plan::install(host, &layout, containerd)?;
    let bundle = match &request.bundle {
        Some(folder) => Bundle::open(folder)?,
        None => Bundle::own()?,
    };
    state.layout = Some(layout.clone());
    let releases = host.path(PREFIX).join("releases/any");
    state.will_write(host, &host.path(PREFIX).join("installed.json"))?;
    files::make_parents(&releases)?;
    if bundle.copy(host)? {
        println!("copied release {} to {PREFIX}", bundle.id());
    }
    bundle.check(host)?;
    if bundle.activate(host)? {
        println!("new containers run with release {}", bundle.id());
    }
    link(host, &mut state)?;
    for note in &plan.notes {
        println!("note: {note}");
    }
    configure(request, &mut state, &layout, &plan)?;
    bundle.remove_others(host)?;
    println!("installed");
    Ok(())
}

/// Without a trace, but for what the operator made: /etc/containerd-shim-wasm.
pub fn uninstall(request: &Request) -> Result<()> {
    let host = &request.host;
    let mut state = State::load(host)?;
    let running = bundle::running(host);
    if running > 0 && !request.force {
        return Err(Error::invalid(format!(
            "{running} pods or containers of this runtime are running; remove them first, or give \
             --force, and they can't be cleaned up"
        )));
    }
    let layout = layout(request, &state)?;
    let plan = plan::uninstall(host, &layout, &state.made)?;
    configure(request, &mut state, &layout, &plan)?;
    let link = host.link(Path::new(LINK));
    if fs::read_link(&link).is_ok_and(|target| target == Path::new(SHIM)) {
        files::remove(&link)?;
    }
    state.remove_all(host)?;
    println!("uninstalled");
    Ok(())
}

fn layout(request: &Request, state: &State) -> Result<Layout> {
    let known = request.layout.clone().or_else(|| state.layout.clone());
    known.map_or_else(|| Layout::detect(&request.host), Ok)
}

/// The link is for people: containerd is told the path.
fn link(host: &Host, state: &mut State) -> Result<()> {
    let link = host.link(Path::new(LINK));
    match fs::read_link(&link) {
        Ok(target) if target == Path::new(SHIM) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        _ => {
            println!("note: {LINK} is not of this installer, and is left as it is");
            return Ok(());
        }
    }
    let made = state
        .will_write(host, &link)
        .and_then(|()| files::relink(&link, Path::new(SHIM)));
    made.or_else(read_only)
}

/// Some nodes have a read-only /usr; containerd needs nothing there.
fn read_only(error: Error) -> Result<()> {
    match &error {
        Error::Path { source, .. } if source.kind() == ErrorKind::ReadOnlyFilesystem => {
            println!("note: {LINK} can't be made ({error}); `ctr` needs --runtime {SHIM}");
            Ok(())
        }
        _ => Err(error),
    }
}

/// Changes containerd's configuration and has it read. If containerd does not
/// take it, all is as before.
fn configure(request: &Request, state: &mut State, layout: &Layout, plan: &Plan) -> Result<()> {
    let host = &request.host;
    if plan.changes.is_empty() && !state.restart_pending {
        return Ok(());
    }
    state.restart_pending = true;
    state.save(host)?;
    for change in &plan.changes {
        apply(host, state, change)?;
        println!("changed {}", change.path.display());
    }
    let taken = verify(host, layout).and_then(|()| match request.may_restart {
        true => restart::restart(host, layout),
        false => Ok(Outcome::ByHand("--no-restart was given".into())),
    });
    let outcome = taken.map_err(|error| undo(host, state, layout, plan, &error))?;
    match outcome {
        Outcome::Restarted(unit) => println!("restarted {unit}; pods went on running"),
        Outcome::NotNeeded(why) => println!("no restart: {why}"),
        Outcome::ByHand(why) => {
            println!(
                "containerd was not restarted: {why}; restart it, so that it reads its configuration"
            );
        }
    }
    state.restart_pending = false;
    state.save(host)
}

fn apply(host: &Host, state: &mut State, change: &Change) -> Result<()> {
    let path = host.path(&change.path);
    match &change.after {
        Some(text) => {
            state.will_write(host, &path)?;
            files::replace(&path, text.as_bytes())
        }
        None => files::remove(&path),
    }
}

/// Has the node's own containerd read the files, where it is one that can be asked.
fn verify(host: &Host, layout: &Layout) -> Result<()> {
    let config = layout.config.to_string_lossy();
    if layout.kind != Kind::Containerd || host.read(&layout.config)?.is_none() {
        return Ok(());
    }
    if host.output("containerd", &["--version"]).is_err() {
        return Ok(());
    }
    host.output("containerd", &["--config", &config, "config", "dump"])
        .map(drop)
}

fn undo(host: &Host, state: &mut State, layout: &Layout, plan: &Plan, error: &Error) -> Error {
    for change in plan.changes.iter().rev() {
        let back = Change {
            path: change.path.clone(),
            before: change.after.clone(),
            after: change.before.clone(),
        };
        if let Err(second) = apply(host, state, &back) {
            return Error::invalid(format!(
                "{error}; and {second}, so containerd's configuration needs a look"
            ));
        }
    }
    // It may be the restart that failed: containerd has to come back.
    let back = restart::restart(host, layout);
    state.restart_pending = back.is_err();
    let saved = state.save(host);
    let rest = [back.err(), saved.err()].into_iter().flatten();
    let rest: String = rest.map(|error| format!("; and {error}")).collect();
    Error::invalid(format!(
        "{error}; containerd's configuration is as it was before{rest}"
    ))
}
