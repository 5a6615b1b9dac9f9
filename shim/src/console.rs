use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{Gid, OFlags, Uid, fchown, fcntl_setfl};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

use crate::error::{Context, Result};
use crate::watched::{Watched, watch};

const BUFFER: usize = 32 * 1024;

/// How long output that the process has written may take to be read when the
/// process is to be forgotten.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// A terminal's side that is not the process's, and what copies between it and
/// the client.
#[derive(Debug)]
pub struct Console {
    master: Arc<Watched<OwnedFd>>,
    input: Option<JoinHandle<()>>,
    output: Mutex<Option<JoinHandle<()>>>,
}

/// Where a terminal's output goes.
#[derive(Debug)]
pub enum Sink {
    Pipe(pipe::Sender),
    File(File),
}

/// A new terminal of this user: its master end, and the process's end.
pub fn terminal(owner: Option<u32>) -> Result<(OwnedFd, OwnedFd)> {
    let what = "can't make a terminal";
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).context(what)?;
    unlockpt(&master).context(what)?;
    let slave = ioctl_tiocgptpeer(&master, flags).context(what)?;
    if let Some(owner) = owner {
        fchown(&slave, Some(Uid::from_raw(owner)), None::<Gid>).context(what)?;
    }
    fcntl_setfl(&master, OFlags::NONBLOCK).context(what)?;
    Ok((master, slave))
}

impl Console {
    /// Copies until the process and the client are gone.
    pub fn new(
        master: OwnedFd,
        input: Option<pipe::Receiver>,
        output: Option<Sink>,
    ) -> Result<Self> {
        let master = Arc::new(watch(master).context("can't watch the terminal")?);
        let input = input.map(|input| tokio::spawn(copy_in(input, Arc::clone(&master))));
        let output = tokio::spawn(copy_out(Arc::clone(&master), output));
        Ok(Self {
            master,
            input,
            output: Mutex::new(Some(output)),
        })
    }

    pub fn resize(&self, width: u16, height: u16) -> Result<()> {
        let size = Winsize {
            ws_row: height,
            ws_col: width,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(self.master.get_ref(), size).context("can't resize the terminal")
    }

    /// Whether all that the process has written, which has ended, is on its way.
    pub fn is_drained(&self) -> bool {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until what the process has written is with the client, which may
    /// have gone.
    pub async fn drained(&self) {
        let output = self
            .output
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut output) = output
            && tokio::time::timeout(READ_WITHIN, &mut output)
                .await
                .is_err()
        {
            output.abort();
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Some(input) = &self.input {
            input.abort();
        }
        if let Some(output) = &*self.output.lock().unwrap_or_else(PoisonError::into_inner) {
            output.abort();
        }
    }
}

async fn copy_in(mut input: pipe::Receiver, master: Arc<Watched<OwnedFd>>) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(count @ 1..) = input.read(&mut buffer).await {
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let written = master
                .async_io(tokio::io::Interest::WRITABLE, |master| {
                    Ok(rustix::io::write(master, rest)?)
                })
                .await;
            match written {
                Ok(count) => rest = &rest[count..],
                Err(_) => return,
            }
        }
    }
}

/// Ends when no process has the other end open (EIO, pty(7)). Without a sink,
/// or when that fails, the output is read all the same: a process must not wait
/// for a client that is gone.
async fn copy_out(master: Arc<Watched<OwnedFd>>, mut sink: Option<Sink>) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = master
            .async_io(tokio::io::Interest::READABLE, |master| {
                Ok(rustix::io::read(master, &mut buffer[..])?)
            })
            .await;
        let Ok(count @ 1..) = read else { return };
        let written = match &mut sink {
            Some(Sink::Pipe(pipe)) => pipe.write_all(&buffer[..count]).await,
            Some(Sink::File(file)) => file.write_all(&buffer[..count]),
            None => Ok(()),
        };
        if written.is_err() {
            sink = None;
        }
    }
}
