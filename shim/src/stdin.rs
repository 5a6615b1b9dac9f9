use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use crate::error::{Context, Result};
use crate::watched::{Watched, watch};

/// How long after the start of its process a client may take to open stdin. It
/// opens the FIFO before it asks for the process, so this is plenty.
const CLIENT_COMES_WITHIN: Duration = Duration::from_millis(500);

/// A writing end of a process's stdin, held so that the process sees no end of
/// its input before its client has begun to write.
///
/// It is given up when the client says so (CloseIO), when the client closes its
/// own end, and when no client comes: `ctr` forgets to say so where its input
/// ends before the process was made. Not when containerd has gone away: what
/// ended then was its own end of the FIFO, which it opens again when it is back.
#[derive(Debug, Clone)]
pub struct HeldStdin(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    writer: Option<OwnedFd>,
    client_came: bool,
}

impl HeldStdin {
    pub fn close(&self) {
        self.state().writer = None;
    }

    /// To be called when the process was started.
    pub fn started(&self) {
        let held = self.clone();
        if held.state().client_came {
            return;
        }
        tokio::spawn(async move {
            tokio::time::sleep(CLIENT_COMES_WITHIN).await;
            if !held.state().client_came {
                held.close();
            }
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells who opens and closes a FIFO. To be made before the FIFO is opened, for
/// which a client waits.
#[derive(Debug)]
pub struct FifoWatch(Watched<OwnedFd>);

impl FifoWatch {
    pub fn new(fifo: &str) -> Result<Self> {
        let what = "can't watch the stdin of a process";
        let watcher = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).context(what)?;
        let events = WatchFlags::OPEN | WatchFlags::CLOSE_WRITE;
        inotify::add_watch(&watcher, fifo, events).at("can't watch the stdin", fifo)?;
        Ok(Self(watch(watcher).context(what)?))
    }

    /// Holds `writer` until the process's input ends.
    ///
    /// `own_opens`: how often the FIFO was opened since by this process itself.
    /// `containerd`: a socket that containerd listens at as long as it runs.
    pub fn hold(self, writer: OwnedFd, own_opens: usize, containerd: Option<String>) -> HeldStdin {
        let held = HeldStdin(Arc::new(Mutex::new(State {
            writer: Some(writer),
            client_came: false,
        })));
        tokio::spawn(self.follow(Arc::downgrade(&held.0), own_opens, containerd));
        held
    }

    async fn follow(self, held: Weak<Mutex<State>>, own_opens: usize, containerd: Option<String>) {
        let mut opens = 0;
        loop {
            let Ok(seen) = self.next().await else { return };
            let Some(held) = held.upgrade().map(HeldStdin) else {
                return;
            };
            opens += seen.opens;
            if opens > own_opens {
                held.state().client_came = true;
            }
            if seen.closed && containerd.as_deref().is_none_or(is_served) {
                held.close();
                return;
            }
        }
    }

    /// Waits for the next events and sums them up.
    async fn next(&self) -> std::io::Result<Seen> {
        let mut ready = self.0.readable().await?;
        let mut seen = Seen::default();
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut events = inotify::Reader::new(self.0.get_ref(), &mut buffer);
        while let Ok(event) = events.next() {
            seen.opens += usize::from(event.events().contains(ReadFlags::OPEN));
            seen.closed |= event.events().contains(ReadFlags::CLOSE_WRITE);
        }
        ready.clear_ready();
        Ok(seen)
    }
}

#[derive(Debug, Default)]
struct Seen {
    opens: usize,
    closed: bool,
}

fn is_served(socket: &str) -> bool {
    UnixStream::connect(socket).is_ok()
}
