use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use crate::error::{Context, Result};
use crate::watched::{Watched, watch};

/// A writing end of a process's stdin, held so that the process sees no end of
/// its input before its client has begun to write.
///
/// It is given up when the client says so (CloseIO), and when the client closes
/// its own end: `ctr` forgets the call where the input ends before the process
/// was made. Not so when containerd has gone away: then that was its end of the
/// FIFO, which it opens again when it is back.
#[derive(Debug, Clone)]
pub struct HeldStdin(Arc<Mutex<Option<OwnedFd>>>);

impl HeldStdin {
    pub fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Tells when somebody closes a writing end of a FIFO. To be made before the
/// FIFO is opened: a client waits for that.
#[derive(Debug)]
pub struct CloseWatch(Watched<OwnedFd>);

impl CloseWatch {
    pub fn new(fifo: &str) -> Result<Self> {
        let watcher = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .context("can't watch the stdin of a process")?;
        inotify::add_watch(&watcher, fifo, WatchFlags::CLOSE_WRITE)
            .at("can't watch the stdin", fifo)?;
        Ok(Self(
            watch(watcher).context("can't watch the stdin of a process")?,
        ))
    }

    /// Holds `writer` until the process's input ends.
    ///
    /// `containerd`: a socket that containerd listens at as long as it runs.
    pub fn hold(self, writer: OwnedFd, containerd: Option<String>) -> HeldStdin {
        let held = HeldStdin(Arc::new(Mutex::new(Some(writer))));
        let weak = Arc::downgrade(&held.0);
        tokio::spawn(async move {
            while self.closed().await.is_ok() {
                let Some(held) = weak.upgrade().map(HeldStdin) else {
                    return;
                };
                if containerd.as_deref().is_none_or(is_served) {
                    held.close();
                    return;
                }
            }
        });
        held
    }

    async fn closed(&self) -> std::io::Result<()> {
        let mut ready = self.0.readable().await?;
        // That there were events is all they say.
        let mut events = [0; 1024];
        while rustix::io::read(self.0.get_ref(), &mut events).is_ok() {}
        ready.clear_ready();
        Ok(())
    }
}

fn is_served(socket: &str) -> bool {
    UnixStream::connect(Path::new(socket)).is_ok()
}
