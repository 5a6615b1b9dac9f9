use std::collections::{HashMap, VecDeque};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipc::{Channel, ExitStatus, FromZygote, ToZygote};
use tokio::sync::oneshot;

use crate::error::{Context, Error, Result};
use crate::watched::{Watched, recv, watch};

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
    pub fn new(channel: Channel) -> Result<Arc<Self>> {
        let connection = Arc::new(Self {
            channel: watch(channel).context("can't watch the zygote")?,
            asked: Mutex::default(),
        });
        tokio::spawn(Arc::clone(&connection).listen());
        Ok(connection)
    }

    /// Has a launcher forked that serves the other end of `connection`.
    /// `own_network` as in `ToZygote::Fork`.
    pub async fn fork(&self, connection: Channel, own_network: Option<bool>) -> Result<i32> {
        let (sender, answer) = oneshot::channel();
        let fork = ToZygote::Fork { own_network };
        self.ask(&fork, &[connection.as_fd()], |asked| {
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
        match self.channel.get_ref().try_send(question, fds) {
            Ok(()) => {
                note(&mut asked);
                Ok(())
            }
            Err(ipc::Error::Closed) => {
                asked.closed = true;
                Err(gone())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn listen(self: Arc<Self>) {
        let error = loop {
            match recv::<FromZygote>(&self.channel).await {
                Ok((answer, _)) => self.answer(answer),
                Err(error) => break error,
            }
        };
        log::warn!("wasm-zygote: {error}");
        let mut asked = self.asked();
        asked.closed = true;
        // Those who wait learn it from their senders being dropped.
        asked.forks.clear();
        asked.exits.clear();
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

    pub fn is_closed(&self) -> bool {
        self.asked().closed
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone() -> Error {
    Error::Zygote("it ended unexpectedly".into())
}
