use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use ipc::{Channel, Launch};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use oci::{Bundle, Workload};
use rustix::fs::FlockOperation;

use super::{keyring, security_modules};
use crate::error::{Context, Error, Result};
use crate::trace;

/// What each container's making begins with.
pub struct Groundwork {
    pub bundle: Bundle,
    pub workload: Workload,
    /// Held for as long as the launcher lives.
    pub lock: File,
}

impl Groundwork {
    pub fn lay(launch: &Launch, connection: &Channel) -> Result<Self> {
        let bundle = Bundle::load(&launch.bundle)?;
        let workload = Workload::from_spec(&bundle.spec)?;
        trace::done("config.json");
        security_modules::check(&bundle, &workload)?;
        private_folder(&launch.state)?;
        let lock = lock(launch)?;
        if is_alone(connection) {
            // The shim died before this had the lock, and who cleans up after
            // it may have been here already.
            let _ = std::fs::remove_dir_all(&launch.state);
            return Err(ipc::Error::Closed.into());
        }
        if !launch.no_new_keyring {
            keyring::join_own(&launch.id)?;
        }
        trace::done("lock and keyring");
        Ok(Self {
            bundle,
            workload,
            lock,
        })
    }
}

/// Tells who cleans up after a shim that died that this launcher still works on
/// its container, and which process it is. A lock of the process, which its
/// children do not inherit.
fn lock(launch: &Launch) -> Result<File> {
    let path = launch.lock_file();
    let mut file = File::create(&path).map_err(|source| Error::Write { path, source })?;
    rustix::fs::fcntl_lock(&file, FlockOperation::LockExclusive)
        .context("can't lock the container's state")?;
    write!(file, "{}", std::process::id()).context("can't write the launcher's pid")?;
    Ok(file)
}

/// Whether the shim has closed its end.
fn is_alone(connection: &Channel) -> bool {
    let mut fds = [PollFd::new(connection.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|closed| closed > 0)
}

/// Makes the folder, but not those above: a bundle that is gone stays so.
fn private_folder(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(|source| Error::Write {
            path: path.to_owned(),
            source,
        }),
    }
}
