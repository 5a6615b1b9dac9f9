use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ipc::{Channel, Listener, ToLauncher};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use crate::connection::Connection;
use crate::error::{Context, Error, Result};
use crate::launcher::Launcher;
use crate::library::Library;
use crate::zygote_process::{self, LastWords};

/// The folder of the zygote and its libraries, from the folder of this binary.
const FILES: &str = "../lib/containerd-shim-wasm";

/// Where zygotes listen; root's alone.
const SOCKETS: &str = "/run/containerd-shim-wasm";

/// How often to ask for a launcher when the zygote goes away. One that is being
/// killed may take a connection or two more before its socket is closed.
const ATTEMPTS: u32 = 5;

/// Locks the folder of the sockets, which is made if it is not there, until the
/// file is closed.
fn lock(how: FlockOperation) -> Result<File> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(SOCKETS)
        .at("can't create", SOCKETS)?;
    let folder = File::open(SOCKETS).at("can't open", SOCKETS)?;
    flock(&folder, how).at("can't lock", SOCKETS)?;
    Ok(folder)
}

/// Where containers come from: one process for all shims of a node, started by
/// the first that finds none.
#[derive(Debug)]
pub struct Zygote {
    files: PathBuf,
    library: Arc<Library>,
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
    /// Of the zygote that this shim has started last.
    last_words: Mutex<Option<LastWords>>,
}

impl Zygote {
    /// Finds the zygote's files beside this binary, wherever that was put.
    pub fn find() -> Result<Self> {
        let own = std::env::current_exe().context("can't find this program's file")?;
        let files = own.parent().unwrap_or(Path::new("/")).join(FILES);
        Ok(Self {
            library: Arc::new(Library::new(files.clone())),
            files,
            connection: tokio::sync::Mutex::new(None),
            last_words: Mutex::default(),
        })
    }

    /// The folder of the zygote and of what else belongs to this program.
    pub fn files(&self) -> &Path {
        &self.files
    }

    /// The store of native code that what comes from here can run.
    pub fn library(&self) -> &Arc<Library> {
        &self.library
    }

    /// Has a zygote ready before it is asked for anything.
    pub async fn warm_up(&self) -> Result<()> {
        self.connect().await.map(drop)
    }

    /// A launcher for what is no new container.
    pub async fn fork(&self) -> Result<Launcher> {
        self.fork_and_send(None, None).await
    }

    /// A launcher that is asked this first, before it is known to be there.
    /// `own_network` as in `ToZygote::Fork`.
    pub async fn fork_to(&self, request: &ToLauncher, own_network: bool) -> Result<Launcher> {
        self.fork_and_send(Some(request), Some(own_network)).await
    }

    async fn fork_and_send(
        &self,
        request: Option<&ToLauncher>,
        own_network: Option<bool>,
    ) -> Result<Launcher> {
        let mut attempts = 1;
        loop {
            let connection = self.connect().await?;
            match fork_from(&connection, request, own_network).await {
                Err(error) if connection.is_closed() => {
                    if attempts == ATTEMPTS {
                        return Err(self.explain(error).await);
                    }
                    // It was killed just now; nothing has been made yet.
                    attempts += 1;
                }
                forked => return forked,
            }
        }
    }

    /// Why the zygote ended, in its own words if it had any; and removes the
    /// socket that it has left.
    async fn explain(&self, error: Error) -> Error {
        if let (Ok(socket), Ok(_folder)) = (self.socket(), lock(FlockOperation::LockExclusive))
            && Channel::connect(&socket).is_err()
        {
            let _ = std::fs::remove_file(socket);
        }
        let words = self.words().take();
        match words {
            Some(words) => words.hear().await.map_or(error, Error::Zygote),
            None => error,
        }
    }

    fn words(&self) -> std::sync::MutexGuard<'_, Option<LastWords>> {
        self.last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Arc<Connection>> {
        let mut connection = self.connection.lock().await;
        match &*connection {
            Some(live) if !live.is_closed() => Ok(Arc::clone(live)),
            _ => {
                let channel = match self.reach() {
                    Ok(channel) => channel,
                    Err(error) => return Err(self.explain(error).await),
                };
                let fresh = Connection::new(channel)?;
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
        let folder = lock(FlockOperation::LockShared)?;
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
        let words = zygote_process::start(&self.files, &socket, listener)?;
        *self.words() = Some(words);
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

async fn fork_from(
    connection: &Arc<Connection>,
    request: Option<&ToLauncher>,
    own_network: Option<bool>,
) -> Result<Launcher> {
    let (ours, theirs) = Channel::pair()?;
    if let Some(request) = request {
        ours.try_send(request, &[])?;
    }
    let pid = connection.fork(theirs, own_network).await?;
    Launcher::new(ours, pid, Arc::clone(connection))
}
