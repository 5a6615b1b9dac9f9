use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipc::{Channel, ExitStatus, FromZygote, ToZygote};
use tokio::sync::oneshot;

use crate::error::{Context, Error, Result};
use crate::launcher::Launcher;
use crate::watched::{Watched, recv, watch};

/// The folder of the zygote and its libraries, from the folder of this binary.
const FOLDER: &str = "../lib/containerd-shim-wasm";

/// Where containers come from. Starts a zygote when there is none.
#[derive(Debug)]
pub struct Zygote {
    folder: PathBuf,
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
}

impl Zygote {
    /// Finds the zygote's files beside this binary, wherever that was put.
    pub fn find() -> Result<Self> {
        let own = std::env::current_exe().context("can't find this program's file")?;
        let folder = own.parent().unwrap_or(Path::new("/")).join(FOLDER);
        Ok(Self {
            folder,
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
        let (ours, theirs) = Channel::pair()?;
        let pid = connection.fork(theirs).await?;
        Launcher::new(ours, pid, connection)
    }

    async fn connect(&self) -> Result<Arc<Connection>> {
        let mut connection = self.connection.lock().await;
        match &*connection {
            Some(live) if !live.is_closed() => Ok(Arc::clone(live)),
            _ => {
                let fresh = Connection::open(&self.folder)?;
                *connection = Some(Arc::clone(&fresh));
                Ok(fresh)
            }
        }
    }
}

/// The control connection to one zygote.
#[derive(Debug)]
pub struct Connection {
    channel: Watched<Channel>,
    asked: Mutex<Asked>,
}

/// Who waits for which answer.
#[derive(Debug, Default)]
struct Asked {
    closed: bool,
    forks: VecDeque<oneshot::Sender<Result<i32>>>,
    exits: HashMap<i32, oneshot::Sender<Option<ExitStatus>>>,
}

impl Connection {
    fn open(folder: &Path) -> Result<Arc<Self>> {
        let (ours, theirs) = Channel::pair()?;
        let child = spawn(folder, theirs)?;
        let connection = Arc::new(Self {
            channel: watch(ours).context("can't watch the zygote")?,
            asked: Mutex::default(),
        });
        tokio::spawn(Arc::clone(&connection).listen(child));
        Ok(connection)
    }

    async fn fork(&self, connection: Channel) -> Result<i32> {
        let (sender, answer) = oneshot::channel();
        self.ask(&ToZygote::Fork, &[connection.as_fd()], |asked| {
            asked.forks.push_back(sender);
        })?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// How a container's init process ended, which has; `None` if that can't be
    /// known any more.
    pub async fn exit_status(&self, launcher: i32, pid: i32) -> Option<ExitStatus> {
        let (sender, answer) = oneshot::channel();
        let asked = self.ask(&ToZygote::Wait { launcher, pid }, &[], |asked| {
            asked.exits.insert(pid, sender);
        });
        match asked {
            Ok(()) => answer.await.ok().flatten(),
            Err(_) => None,
        }
    }

    /// Sends a question and notes who waits for the answer, as one step: the
    /// answers to forks come in the order of asking.
    fn ask(
        &self,
        question: &ToZygote,
        fds: &[std::os::fd::BorrowedFd<'_>],
        note: impl FnOnce(&mut Asked),
    ) -> Result<()> {
        let mut asked = self.asked();
        if asked.closed {
            return Err(gone());
        }
        // A zygote reads at once; one that does not for as long as hundreds of
        // questions fit into the socket is broken.
        self.channel.get_ref().try_send(question, fds)?;
        note(&mut asked);
        Ok(())
    }

    async fn listen(self: Arc<Self>, mut child: Child) {
        let error = loop {
            match recv::<FromZygote>(&self.channel).await {
                Ok((answer, _)) => self.answer(answer),
                Err(error) => break error,
            }
        };
        {
            let mut asked = self.asked();
            asked.closed = true;
            // Those who wait learn it from their senders being dropped.
            asked.forks.clear();
            asked.exits.clear();
        }
        log::warn!("wasm-zygote: {error}");
        // It ends with its connection; if that is broken, it is ended.
        let _ = child.kill();
        let _ = child.wait();
    }

    fn answer(&self, answer: FromZygote) {
        let mut asked = self.asked();
        // Who does not wait any more does not need the answer.
        match answer {
            FromZygote::Forked { launcher } => {
                if let Some(waiting) = asked.forks.pop_front() {
                    let _ = waiting.send(Ok(launcher));
                }
            }
            FromZygote::ForkFailed { reason } => {
                if let Some(waiting) = asked.forks.pop_front() {
                    let _ = waiting.send(Err(Error::Zygote(reason)));
                }
            }
            FromZygote::Exited { pid, status } => {
                if let Some(waiting) = asked.exits.remove(&pid) {
                    let _ = waiting.send(status);
                }
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.asked().closed
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone() -> Error {
    Error::Zygote("it ended unexpectedly; see the shim's log".into())
}

/// Starts a zygote with the connection as its standard input. If the folder has
/// libraries of its own, it runs with their loader: they may be for a newer
/// libc than the system's.
fn spawn(folder: &Path, connection: Channel) -> Result<Child> {
    let program = folder.join("wasm-zygote");
    let libraries = folder.join("runtime");
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
        .arg0("wasm-zygote")
        .current_dir("/")
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(connection)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A signal to the shim's group is not for the containers.
        .process_group(0);
    command.spawn().at("can't start the zygote", program)
}
