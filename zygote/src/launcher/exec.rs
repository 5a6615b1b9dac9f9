use std::fs::File;
use std::io::BufReader;
use std::os::fd::OwnedFd;
use std::path::Path;

use ipc::{Channel, Launch};
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::syscall::syscall::SyscallType;
use nix::unistd::{Gid, setgroups};
use oci::spec::Process;
use oci::{Bundle, Workload};

use super::asked::Streams;
use super::{explain, full, hide, keyring, pidfd};
use crate::error::{Context, Error, Result};
use crate::guest::{Guest, Verdict};

/// Adds a process to a running container: its namespaces, cgroup and mounts,
/// with its own user, capabilities and environment. Returns when it runs.
pub fn exec(
    launch: &Launch,
    file: &Path,
    init: i32,
    Streams { stdio, library }: Streams,
    connection: &Channel,
) -> Result<(i32, OwnedFd)> {
    let bundle = Bundle::load(&launch.bundle)?;
    let mut process = read(file)?;
    let mut workload = Workload::of_process(&bundle.spec, &process)?;
    // The container's annotation names where its own program begins.
    workload.wishes.entrypoint = None;
    if !launch.no_new_keyring {
        keyring::join_own(&launch.id)?;
    }
    take_oom_score(&bundle, &process)?;
    take_from_libcontainer(&mut process, &bundle)?;
    let text = serde_json::to_vec(&process).unwrap_or_default();
    std::fs::write(file, text).context("can't write the added process's description")?;
    let (verdict, reporter) = Verdict::channel()?;
    let guest = Guest::new(workload, reporter)?
        .without(connection)
        .asking(library)
        .added_to(&bundle, !hide::views(&bundle, init)?.is_empty())?;
    full::adopt(launch, &bundle, init)?;
    let [stdin, stdout, stderr] = stdio;
    let built = ContainerBuilder::new(launch.id.clone(), SyscallType::default())
        .with_root_path(&launch.state)?
        .with_executor(guest)
        .with_stdin(stdin)
        .with_stdout(stdout)
        .with_stderr(stderr)
        .as_tenant()
        .with_process(Some(file))
        .with_detach(false)
        .build();
    if let Some(Verdict::Refused { sentence }) = verdict.receive() {
        return Err(Error::Guest(sentence));
    }
    let pid = built.map_err(|error| explained(error, &bundle))?.as_raw();
    let pidfd = pidfd::of(pid, "can't get a pidfd of the added process")?;
    Ok((pid, pidfd))
}

fn explained(error: LibcontainerError, bundle: &Bundle) -> Error {
    let error = Error::from(error);
    explain::explain(&error.to_string(), bundle).map_or(error, Error::Guest)
}

fn read(file: &Path) -> Result<Process> {
    let opened = File::open(file).context("can't open the added process's description")?;
    serde_json::from_reader(BufReader::new(opened)).map_err(|error| {
        Error::Guest(format!(
            "the added process's description can't be understood: {error}"
        ))
    })
}

/// Takes out what libcontainer does with the help of the container's /proc,
/// which a Wasm container has not: the guest's side applies the profile, and
/// groups are inherited.
fn take_from_libcontainer(process: &mut Process, bundle: &Bundle) -> Result<()> {
    process.set_apparmor_profile(None);
    // By the numbers of the container's user namespace, if it has one.
    if bundle.has_user_namespace() {
        return Ok(());
    }
    let mut user = process.user().clone();
    let groups = user.additional_gids().clone().unwrap_or_default();
    let groups: Vec<Gid> = groups.into_iter().map(Gid::from_raw).collect();
    setgroups(&groups).context("can't set the groups of the added process")?;
    user.set_additional_gids(None);
    process.set_user(user);
    Ok(())
}

/// That of the container, as for runc, and not the low one that this process
/// has from the shim.
fn take_oom_score(bundle: &Bundle, process: &Process) -> Result<()> {
    let init = bundle.spec.process().as_ref();
    match init.and_then(Process::oom_score_adj) {
        Some(score) if process.oom_score_adj().is_none() => {
            std::fs::write("/proc/self/oom_score_adj", score.to_string())
                .context("can't set oom_score_adj")
        }
        _ => Ok(()),
    }
}
