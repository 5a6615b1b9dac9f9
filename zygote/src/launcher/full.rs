//! Containers made by libcontainer, which knows all that `config.json` can say.

use std::os::fd::OwnedFd;
use std::path::Path;

use ipc::Launch;
use libcontainer::config::YoukiConfig;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::container::{Container, ContainerStatus};
use libcontainer::error::LibcontainerError;
use libcontainer::syscall::syscall::SyscallType;
use oci::Bundle;

use crate::guest::Guest;

type Result<T> = std::result::Result<T, LibcontainerError>;

/// `bundle`: where its `config.json` is to be read.
pub fn create(
    launch: &Launch,
    bundle: &Path,
    [stdin, stdout, stderr]: [OwnedFd; 3],
    guest: Guest,
) -> Result<Container> {
    ContainerBuilder::new(launch.id.clone(), SyscallType::default())
        .with_root_path(&launch.state)?
        .with_executor(guest)
        .with_stdin(stdin)
        .with_stdout(stdout)
        .with_stderr(stderr)
        .as_init(bundle)
        .with_systemd(launch.systemd_cgroup)
        .with_no_pivot(launch.no_pivot_root)
        // A terminal comes as the three streams.
        .with_detach(false)
        .build()
}

/// Runs the poststop hooks of a stopped container and removes what is left of it.
pub fn delete(launch: &Launch) -> Result<()> {
    Container::load(launch.state.join(&launch.id))?.delete(true)
}

/// Has libcontainer know a running container that was made directly, as if it
/// had made it; does nothing for its own. Its processes can then be added to.
pub fn adopt(launch: &Launch, bundle: &Bundle, init: i32) -> Result<()> {
    let state = launch.state.join(&launch.id);
    if state.exists() {
        return Ok(());
    }
    // Others may do the same at this time: it is there as a whole, or not.
    let draft = launch.state.join(format!(".{}", std::process::id()));
    std::fs::create_dir(&draft).map_err(LibcontainerError::OtherIO)?;
    YoukiConfig::from_spec(&bundle.spec, &launch.id)?.save(&draft)?;
    let running = ContainerStatus::Running;
    Container::new(&launch.id, running, Some(init), &launch.bundle, &draft)?.save()?;
    match std::fs::rename(&draft, &state) {
        Err(_) if state.exists() => std::fs::remove_dir_all(&draft),
        renamed => renamed,
    }
    .map_err(LibcontainerError::OtherIO)
}
