use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};

use crate::error::{Context, Error, Result};
use crate::stdin::{FifoWatch, HeldStdin};

/// Where a process's standard streams go: FIFOs of containerd's client, or
/// nothing where a path is empty (shim protocol, "IO").
#[derive(Debug, Clone, Default)]
pub struct StdioPaths {
    pub stdin: String,
    pub stdout: String,
    pub stderr: String,
}

/// What the shim holds of a process's streams.
///
/// The process has the FIFOs themselves: nothing copies. The shim holds a
/// writing end of stdin (see [`HeldStdin`]), and reading ends of stdout and
/// stderr, so that a client that goes away (containerd restarts) does not break
/// them. It holds no writing ends of those: the client waits for their end.
#[derive(Debug, Default)]
pub struct Held {
    stdin: Option<HeldStdin>,
    _outputs: Vec<OwnedFd>,
}

impl Held {
    /// Lets the process see the end of its input, once all writers are gone.
    pub fn close_stdin(&self) {
        if let Some(stdin) = &self.stdin {
            stdin.close();
        }
    }

    /// To be called when the process was started.
    pub fn started(&self) {
        if let Some(stdin) = &self.stdin {
            stdin.started();
        }
    }
}

/// Opens the streams: the process's three ends, and what the shim holds.
///
/// `containerd`: a socket that containerd listens at as long as it runs.
pub fn open(paths: &StdioPaths, containerd: Option<&str>) -> Result<([OwnedFd; 3], Held)> {
    let mut held = Held::default();
    let stdin = if paths.stdin.is_empty() {
        null()?
    } else {
        let watch = FifoWatch::new(&paths.stdin).ok();
        let (reader, writer) = fifo(&paths.stdin)?;
        held.stdin = Some(HeldStdin::new(writer, watch, containerd.map(PathBuf::from)));
        reader
    };
    let mut output = |path: &str| -> Result<OwnedFd> {
        if path.is_empty() {
            return null();
        }
        let (reader, writer) = fifo(path)?;
        held._outputs.push(reader);
        Ok(writer)
    };
    let stdout = output(&paths.stdout)?;
    let stderr = output(&paths.stderr)?;
    Ok(([stdin, stdout, stderr], held))
}

/// Both ends of a FIFO, both blocking: opened in the one order that waits for
/// nobody (fifo(7): a reader without waiting always, a writer if there is one).
fn fifo(path: &str) -> Result<(OwnedFd, OwnedFd)> {
    if path.contains("://") {
        return Err(Error::Unimplemented("a log URI as standard output"));
    }
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    let reader = rustix::fs::open(path, flags | OFlags::RDONLY, Mode::empty())
        .at("can't open the stream", path)?;
    let kind = rustix::fs::fstat(&reader)
        .at("can't look at", path)?
        .st_mode;
    if FileType::from_raw_mode(kind) != FileType::Fifo {
        return Err(Error::Invalid(format!("the stream {path} is not a FIFO")));
    }
    let writer = rustix::fs::open(path, flags | OFlags::WRONLY, Mode::empty())
        .at("can't open the stream", path)?;
    for end in [&reader, &writer] {
        rustix::fs::fcntl_setfl(end, OFlags::empty()).at("can't set up the stream", path)?;
    }
    Ok((reader, writer))
}

fn null() -> Result<OwnedFd> {
    let path = Path::new("/dev/null");
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .at("can't open", path)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn make_fifo(name: &str) -> String {
        let path = std::env::temp_dir().join(format!("stdio-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        path.to_str().unwrap().to_owned()
    }

    async fn read_all(stdin: OwnedFd) -> String {
        tokio::task::spawn_blocking(|| {
            let mut text = String::new();
            File::from(stdin).read_to_string(&mut text).unwrap();
            text
        })
        .await
        .unwrap()
    }

    fn open_stdin(path: &str, containerd: Option<&str>) -> (OwnedFd, Held) {
        let paths = StdioPaths {
            stdin: path.to_owned(),
            ..StdioPaths::default()
        };
        let ([stdin, _, _], held) = open(&paths, containerd).unwrap();
        (stdin, held)
    }

    #[tokio::test]
    async fn input_ends_when_the_client_closes_its_end() {
        let path = make_fifo("client");
        let (stdin, _held) = open_stdin(&path, None);
        let mut client = File::options().write(true).open(&path).unwrap();
        client.write_all(b"all of it").unwrap();
        drop(client);
        assert_eq!(read_all(stdin).await, "all of it");
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn input_ends_when_no_client_comes() {
        let path = make_fifo("nobody");
        let (stdin, held) = open_stdin(&path, None);
        held.started();
        assert_eq!(read_all(stdin).await, "");
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn input_waits_for_a_client_that_came() {
        let path = make_fifo("slow");
        let (stdin, held) = open_stdin(&path, None);
        let mut client = File::options().write(true).open(&path).unwrap();
        held.started();
        tokio::time::sleep(std::time::Duration::from_millis(800)).await;
        client.write_all(b"late").unwrap();
        drop(client);
        assert_eq!(read_all(stdin).await, "late");
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn input_survives_containerd_until_it_is_closed() {
        let path = make_fifo("restart");
        let (stdin, held) = open_stdin(&path, Some("/no/such/socket"));
        held.started();
        for part in ["before", " and after"] {
            let mut client = File::options().write(true).open(&path).unwrap();
            client.write_all(part.as_bytes()).unwrap();
            drop(client);
            tokio::time::sleep(std::time::Duration::from_millis(800)).await;
        }
        held.close_stdin();
        assert_eq!(read_all(stdin).await, "before and after");
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn input_goes_on_while_one_of_two_clients_is_there() {
        let path = make_fifo("two");
        let (stdin, held) = open_stdin(&path, None);
        held.started();
        let open = || File::options().write(true).open(&path).unwrap();
        let (mut one, mut other) = (open(), open());
        one.write_all(b"one").unwrap();
        drop(one);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        other.write_all(b", two").unwrap();
        drop(other);
        assert_eq!(read_all(stdin).await, "one, two");
        std::fs::remove_file(path).unwrap();
    }

    /// As where root has used up the inotify instances that it may have.
    #[tokio::test]
    async fn without_a_watch_input_ends_when_the_client_says_so() {
        let path = make_fifo("unwatched");
        let (reader, writer) = fifo(&path).unwrap();
        let held = HeldStdin::new(writer, None, None);
        let mut client = File::options().write(true).open(&path).unwrap();
        held.started();
        tokio::time::sleep(std::time::Duration::from_millis(800)).await;
        client.write_all(b"all").unwrap();
        drop(client);
        held.close();
        assert_eq!(read_all(reader).await, "all");
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn output_written_before_the_client_comes_is_kept() {
        let path = make_fifo("out");
        let paths = StdioPaths {
            stdout: path.clone(),
            ..StdioPaths::default()
        };
        let ([_, stdout, _], held) = open(&paths, None).unwrap();
        // Waits, in a thread, for a writer; there is one.
        let mut client = File::open(&path).unwrap();
        File::from(stdout).write_all(b"early").unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "early");
        drop(held);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_plain_file_is_refused() {
        let error = fifo("/etc/hostname").unwrap_err().to_string();
        assert!(error.contains("not a FIFO"), "{error}");
        let error = fifo("file:///tmp/x").unwrap_err().to_string();
        assert!(error.contains("log URI"), "{error}");
    }
}
