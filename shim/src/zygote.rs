use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use ipc::{Channel, Listener};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sha2::{Digest, Sha256};

use crate::connection::Connection;
use crate::error::{Context, Result};
use crate::launcher::Launcher;
use crate::watched::watch;

/// The folder of the zygote and its libraries, from the folder of this binary.
const FILES: &str = "../lib/containerd-shim-wasm";

/// Where zygotes listen; root's alone.
const SOCKETS: &str = "/run/containerd-shim-wasm";

/// Where containers come from: one process for all shims of a node, started by
/// the first that finds none.
#[derive(Debug)]
pub struct Zygote {
    files: PathBuf,
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
}

impl Zygote {
    /// Finds the zygote's files beside this binary, wherever that was put.
    pub fn find() -> Result<Self> {
        let own = std::env::current_exe().context("can't find this program's file")?;
        Ok(Self {
            files: own.parent().unwrap_or(Path::new("/")).join(FILES),
            connection: tokio::sync::Mutex::new(None),
        })
    }

    /// Has a zygote ready before it is asked for anything.
    pub async fn warm_up(&self) -> Result<()> {
        self.connect().await.map(drop)
    }

    /// A launcher for one container.
    pub async fn fork(&self) -> Result<Launcher> {
        let connection = self.connect().await?;
        match Self::fork_from(&connection).await {
            // It was killed just now; nothing has been made yet.
            Err(_) if connection.is_closed() => Self::fork_from(&self.connect().await?).await,
            forked => forked,
        }
    }

    async fn fork_from(connection: &Arc<Connection>) -> Result<Launcher> {
        let (ours, theirs) = Channel::pair()?;
        let pid = connection.fork(theirs).await?;
        Launcher::new(ours, pid, Arc::clone(connection))
    }

    async fn connect(&self) -> Result<Arc<Connection>> {
        let mut connection = self.connection.lock().await;
        match &*connection {
            Some(live) if !live.is_closed() => Ok(Arc::clone(live)),
            _ => {
                let fresh = Connection::new(self.reach()?)?;
                *connection = Some(Arc::clone(&fresh));
                Ok(fresh)
            }
        }
    }

    /// Connects to the zygote of this build, which is started if there is none.
    ///
    /// With the folder locked: shared to connect, so that a zygote that wants to
    /// retire does not miss anybody; alone to start one, so that there is one.
    fn reach(&self) -> Result<Channel> {
        let socket = self.socket()?;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(SOCKETS)
            .at("can't create", SOCKETS)?;
        let folder = File::open(SOCKETS).at("can't open", SOCKETS)?;
        flock(&folder, FlockOperation::LockShared).at("can't lock", SOCKETS)?;
        if let Ok(channel) = Channel::connect(&socket) {
            return Ok(channel);
        }
        flock(&folder, FlockOperation::LockExclusive).at("can't lock", SOCKETS)?;
        // Taking the lock anew gave others time to start one.
        if let Ok(channel) = Channel::connect(&socket) {
            return Ok(channel);
        }
        // What is there is of a zygote that was killed.
        let _ = std::fs::remove_file(&socket);
        let listener = Listener::bind(&socket)?;
        reap(spawn(&self.files, &socket, listener)?)?;
        Ok(Channel::connect(&socket)?)
    }

    /// A name for all that makes zygotes differ: the file, so that a new build
    /// never talks to an old zygote, and the namespaces that containers inherit
    /// from it and see their mounts in.
    fn socket(&self) -> Result<PathBuf> {
        let program = self.files.join("wasm-zygote");
        let file = std::fs::metadata(&program).at("can't find the zygote", &program)?;
        let mut name = Sha256::new();
        for number in [file.dev(), file.ino(), file.size()] {
            name.update(number.to_le_bytes());
        }
        for number in [
            file.mtime(),
            file.mtime_nsec(),
            file.ctime(),
            file.ctime_nsec(),
        ] {
            name.update(number.to_le_bytes());
        }
        for namespace in ["mnt", "pid", "net", "ipc", "uts", "user", "cgroup"] {
            let path = format!("/proc/self/ns/{namespace}");
            // A kernel without this kind has one of it.
            if let Ok(file) = std::fs::metadata(path) {
                name.update(file.ino().to_le_bytes());
            }
        }
        let name = name.finalize();
        let hex: String = name[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Path::new(SOCKETS).join(hex))
    }
}

/// Starts a zygote with the listener as its standard input. If the folder has
/// libraries of its own, it runs with their loader: they may be for a newer
/// libc than the system's.
fn spawn(files: &Path, socket: &Path, listener: Listener) -> Result<Child> {
    let program = files.join("wasm-zygote");
    let libraries = files.join("runtime");
    let loader = libraries.join("ld-linux-x86-64.so.2");
    let mut command = if loader.exists() {
        let mut command = Command::new(&loader);
        command
            .arg("--library-path")
            .arg(&libraries)
            .arg("--argv0")
            .arg("wasm-zygote")
            .arg(&program);
        command
    } else {
        Command::new(&program)
    };
    command
        .arg("serve")
        .arg(socket)
        .arg0("wasm-zygote")
        .current_dir("/")
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().at("can't start the zygote", program)
}

/// Waits for the end of the zygote, which may live longer than this process, so
/// that no zombie is left if it does not.
fn reap(mut child: Child) -> Result<()> {
    let what = "can't watch the zygote";
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pidfd = pid
        .ok_or(rustix::io::Errno::SRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
        .context(what)?;
    let pidfd = watch(pidfd).context(what)?;
    tokio::spawn(async move {
        let _ = pidfd.readable().await;
        let _ = child.wait();
    });
    Ok(())
}
