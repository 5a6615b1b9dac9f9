use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::ioctl_fionread;

/// How long after the end of a process its client may take to open the output.
/// It asks for that before it asks for the process, in a thread that may be late
/// where all runs at once; a client that was killed does not come at all.
const CLIENT_COMES_WITHIN: Duration = Duration::from_secs(1);

const WRITE: OFlags = OFlags::WRONLY.union(OFlags::CLOEXEC);

/// The reading end of a FIFO that a process writes its output to, held so that
/// a client that goes away and comes again (containerd restarts) breaks nothing.
#[derive(Debug)]
pub struct HeldOutput {
    path: PathBuf,
    reader: OwnedFd,
}

impl HeldOutput {
    pub fn new(path: &str, reader: OwnedFd) -> Self {
        let path = path.into();
        Self { path, reader }
    }

    /// Whether the client has read what was written.
    pub fn is_taken(&self) -> bool {
        ioctl_fionread(&self.reader).unwrap_or_default() == 0
    }

    /// Another writing end.
    pub fn writer(&self) -> rustix::io::Result<OwnedFd> {
        open(&self.path, WRITE.union(OFlags::NONBLOCK), Mode::empty())
    }

    /// Lets go of what a process has written that is over, when its client has
    /// the FIFO open: before, it would be lost.
    pub async fn deliver(self) {
        if self.is_taken() {
            return;
        }
        let Ok(keeper) = self.writer() else {
            return;
        };
        let Self { path, reader } = self;
        drop(reader);
        if has_reader(&keeper) {
            return;
        }
        // Opening it waits for a reader (fifo(7)).
        let waiting = path.clone();
        let opening = tokio::task::spawn_blocking(move || open(&waiting, WRITE, Mode::empty()));
        if tokio::time::timeout(CLIENT_COMES_WITHIN, opening)
            .await
            .is_err()
        {
            log::warn!("nobody has read {}", path.display());
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            // The thread has its reader then, and ends.
            drop(open(&path, flags, Mode::empty()));
        }
    }
}

/// Whether there is a reading end of a FIFO; this process has given up its own.
fn has_reader(writer: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(writer, PollFlags::OUT)];
    let now = Timespec::default();
    poll(&mut fds, Some(&now)).is_ok() && !fds[0].revents().contains(PollFlags::ERR)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    fn written(name: &str) -> (PathBuf, HeldOutput) {
        let path = std::env::temp_dir().join(format!("output-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let reader = open(&path, flags, Mode::empty()).unwrap();
        let mut writer = File::options().write(true).open(&path).unwrap();
        writer.write_all(b"all of it").unwrap();
        let output = HeldOutput::new(path.to_str().unwrap(), reader);
        (path, output)
    }

    #[tokio::test]
    async fn output_waits_for_a_client_that_is_late() {
        let (path, output) = written("late");
        let late = path.clone();
        let client = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            let mut text = String::new();
            File::open(late).unwrap().read_to_string(&mut text).unwrap();
            text
        });
        output.deliver().await;
        assert_eq!(client.join().unwrap(), "all of it");
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn output_waits_no_longer_than_that() {
        let (path, output) = written("never");
        let begin = std::time::Instant::now();
        output.deliver().await;
        assert!(begin.elapsed() >= CLIENT_COMES_WITHIN);
        std::fs::remove_file(path).unwrap();
    }
}
