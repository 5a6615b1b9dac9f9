use std::future::pending;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{Mode, OFlags};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::socket::is_served;
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
#[derive(Debug)]
pub struct HeldStdin(mpsc::UnboundedSender<Said>);

#[derive(Debug)]
enum Said {
    Started,
    Close,
}

impl HeldStdin {
    /// Holds `writer` until the input ends.
    ///
    /// Without a watch (root may have 128) the end is seen if the client says
    /// it or does not come. `containerd`: a socket that containerd listens at
    /// as long as it runs.
    pub fn new(writer: OwnedFd, watch: Option<FifoWatch>, containerd: Option<PathBuf>) -> Self {
        let (sender, said) = mpsc::unbounded_channel();
        tokio::spawn(hold(writer, watch, containerd, said));
        Self(sender)
    }

    pub fn close(&self) {
        // Nobody hears it when it is closed already.
        let _ = self.0.send(Said::Close);
    }

    /// To be called when the process was started.
    pub fn started(&self) {
        let _ = self.0.send(Said::Started);
    }
}

async fn hold(
    mut writer: OwnedFd,
    watch: Option<FifoWatch>,
    containerd: Option<PathBuf>,
    mut said: mpsc::UnboundedReceiver<Said>,
) {
    let mut deadline = None;
    loop {
        tokio::select! {
            said = said.recv() => match said {
                Some(Said::Started) => {
                    deadline = Some(Instant::now() + CLIENT_COMES_WITHIN);
                    continue;
                }
                Some(Said::Close) | None => return,
            },
            () = closed(watch.as_ref()) => {}
            () = reached(deadline) => deadline = None,
        }
        if containerd.as_deref().is_none_or(is_served) {
            match release(writer, watch.as_ref()) {
                Some(again) => writer = again,
                None => return,
            }
        }
    }
}

async fn closed(watch: Option<&FifoWatch>) {
    match watch {
        Some(watch) => watch.closed().await,
        None => pending().await,
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// Closes a writing end if it is the last one; otherwise returns one.
fn release(writer: OwnedFd, watch: Option<&FifoWatch>) -> Option<OwnedFd> {
    // While there is a writer, so that the kernel tells when there is none.
    let Ok(reader) = open_again(&writer, OFlags::RDONLY) else {
        return Some(writer);
    };
    drop(writer);
    if let Some(watch) = watch {
        watch.forget();
    }
    let mut fds = [PollFd::new(&reader, PollFlags::empty())];
    let polled = poll(&mut fds, Some(&Timespec::default()));
    if polled.is_ok() && fds[0].revents().contains(PollFlags::HUP) {
        return None;
    }
    open_again(&reader, OFlags::WRONLY).ok()
}

/// Opens the FIFO that is open as `end`, without waiting for another end.
fn open_again(end: &OwnedFd, access: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", end.as_raw_fd());
    let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

/// Tells when somebody closes a FIFO that was open for writing. To be made
/// before the FIFO is opened for reading, for which a client waits.
#[derive(Debug)]
pub struct FifoWatch(Option<Watched<OwnedFd>>);

/// Closing it waits for all CPUs (SRCU), 15 ms and more, and nobody should wait
/// for that.
impl Drop for FifoWatch {
    fn drop(&mut self) {
        if let Some(watcher) = self.0.take().map(Watched::into_inner) {
            std::thread::spawn(move || drop(watcher));
        }
    }
}

impl FifoWatch {
    pub fn new(fifo: &str) -> std::io::Result<Self> {
        let watcher = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&watcher, fifo, WatchFlags::CLOSE_WRITE)?;
        Ok(Self(Some(watch(watcher)?)))
    }

    async fn closed(&self) {
        let Some(watcher) = &self.0 else {
            return pending().await;
        };
        match watcher.readable().await {
            Ok(mut ready) => {
                self.forget();
                ready.clear_ready();
            }
            Err(_) => pending().await,
        }
    }

    /// Takes what has happened up to now as known.
    fn forget(&self) {
        let Some(watcher) = &self.0 else { return };
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut events = inotify::Reader::new(watcher.get_ref(), &mut buffer);
        while events.next().is_ok() {}
    }
}
