use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags};
use tokio::net::unix::pipe;

use crate::console::{Console, Sink, terminal};
use crate::error::{Context, Error, Result};
use crate::log_uri::{LogUri, fifo_path, open_file, start_logger};
use crate::output::HeldOutput;
use crate::stdin::{FifoWatch, HeldStdin};

/// How long a client may take to read what is there before it is told of the end.
const CLIENT_READS_WITHIN: Duration = Duration::from_millis(500);

/// How often to look whether it has: the kernel does not tell.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(1);

/// Where a process's standard streams go: FIFOs of containerd's client, log
/// URIs, or nothing where a path is empty (shim protocol, "IO").
#[derive(Debug, Clone, Default)]
pub struct StdioPaths {
    pub stdin: String,
    pub stdout: String,
    pub stderr: String,
    /// The process has one terminal in place of three streams; nothing is
    /// written to `stderr` then.
    pub terminal: bool,
}

/// Whose streams they are.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// A socket that containerd listens at as long as it runs.
    pub containerd: Option<&'a str>,
    pub namespace: &'a str,
    /// Of the container.
    pub id: &'a str,
    /// The user that a terminal belongs to.
    pub user: Option<u32>,
}

/// What the shim holds of a process's streams.
///
/// The process has the FIFOs and files themselves: nothing copies, but for a
/// terminal. The shim holds a writing end of stdin (see [`HeldStdin`]), and
/// reading ends of stdout and stderr, so that a client that goes away
/// (containerd restarts) does not break them. It holds no writing ends of
/// those: the client waits for their end.
#[derive(Debug, Default)]
pub struct Held {
    stdin: Option<HeldStdin>,
    _inputs: Vec<OwnedFd>,
    outputs: Mutex<Vec<HeldOutput>>,
    console: Option<Console>,
}

impl Held {
    /// Lets the process see the end of its input, once all writers are gone. A
    /// terminal has none.
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

    /// The terminal, if there is one.
    pub fn console(&self) -> Option<&Console> {
        self.console.as_ref()
    }

    /// Waits until the client has read what the process has written, which has
    /// ended.
    ///
    /// One that is told of the end before it has opened the output gives up
    /// opening it (`Cancel` of containerd's client), and a process may be over
    /// before a thread of a busy client comes to run.
    pub async fn taken(&self) {
        if self.is_taken() {
            return;
        }
        // Who opens a FIFO to read from waits for a writer.
        let _writers: Vec<_> = self.outputs().iter().map(HeldOutput::writer).collect();
        let taken = async {
            while !self.is_taken() {
                tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            }
        };
        // Else nobody is there, or somebody who reads slowly and has opened it.
        let _ = tokio::time::timeout(CLIENT_READS_WITHIN, taken).await;
    }

    fn is_taken(&self) -> bool {
        self.console.as_ref().is_none_or(Console::is_drained)
            && self.outputs().iter().all(HeldOutput::is_taken)
    }

    fn outputs(&self) -> MutexGuard<'_, Vec<HeldOutput>> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what the process has written, which has ended, is with its
    /// client or can't be lost any more.
    pub async fn delivered(&self) {
        if let Some(console) = &self.console {
            console.drained().await;
        }
        let outputs = std::mem::take(&mut *self.outputs());
        for output in outputs {
            output.deliver().await;
        }
    }
}

/// Opens the streams: the process's three ends, and what the shim holds.
pub async fn open(paths: &StdioPaths, owner: Owner<'_>) -> Result<([OwnedFd; 3], Held)> {
    let mut held = Held::default();
    if paths.terminal {
        let ends = open_terminal(paths, owner, &mut held).await?;
        return Ok((ends, held));
    }
    let stdin = if paths.stdin.is_empty() {
        null()?
    } else {
        let path = fifo_path(&paths.stdin);
        let watch = FifoWatch::new(path).ok();
        let (reader, writer) = fifo(path)?;
        let containerd = owner.containerd.map(PathBuf::from);
        held.stdin = Some(HeldStdin::new(writer, watch, containerd));
        reader
    };
    let [stdout, stderr] = open_outputs(paths, owner, &mut held).await?;
    Ok(([stdin, stdout, stderr], held))
}

async fn open_outputs(
    paths: &StdioPaths,
    owner: Owner<'_>,
    held: &mut Held,
) -> Result<[OwnedFd; 2]> {
    // One logger has both.
    if let Some(LogUri::Binary { program, args }) = LogUri::parse(&paths.stdout)? {
        return start_logger(&program, &args, owner.namespace, owner.id).await;
    }
    let mut output = |path: &str| match LogUri::parse(path)? {
        Some(LogUri::File(path)) => open_file(&path).map(OwnedFd::from),
        Some(LogUri::Binary { .. }) => Err(Error::Invalid(format!(
            "{path:?} is for standard error alone; a logger takes both streams"
        ))),
        None if path.is_empty() => null(),
        None => {
            let (reader, writer) = fifo(fifo_path(path))?;
            let outputs = held.outputs.get_mut();
            let outputs = outputs.unwrap_or_else(PoisonError::into_inner);
            outputs.push(HeldOutput::new(fifo_path(path), reader));
            Ok(writer)
        }
    };
    Ok([output(&paths.stdout)?, output(&paths.stderr)?])
}

/// A terminal, and what copies between it and the client.
async fn open_terminal(
    paths: &StdioPaths,
    owner: Owner<'_>,
    held: &mut Held,
) -> Result<[OwnedFd; 3]> {
    let what = "can't set up the terminal's streams";
    let (master, process_end) = terminal(owner.user)?;
    let input = if paths.stdin.is_empty() {
        None
    } else {
        let (reader, writer) = fifo(fifo_path(&paths.stdin))?;
        held._inputs.push(writer);
        Some(pipe::Receiver::from_owned_fd(reader).context(what)?)
    };
    let has_output = !paths.stdout.is_empty();
    let without_stderr = StdioPaths {
        stdout: paths.stdout.clone(),
        ..StdioPaths::default()
    };
    let [stdout, _] = open_outputs(&without_stderr, owner, held).await?;
    let output = match LogUri::parse(&paths.stdout)? {
        _ if !has_output => None,
        Some(LogUri::File(_)) => Some(Sink::File(stdout.into())),
        _ => Some(Sink::Pipe(
            pipe::Sender::from_owned_fd(stdout).context(what)?,
        )),
    };
    held.console = Some(Console::new(master, input, output)?);
    let again = || process_end.try_clone().context(what);
    Ok([again()?, again()?, process_end])
}

/// Both ends of a FIFO, both blocking: opened in the one order that waits for
/// nobody (fifo(7): a reader without waiting always, a writer if there is one).
fn fifo(path: &str) -> Result<(OwnedFd, OwnedFd)> {
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

    const OWNER: Owner<'_> = Owner {
        containerd: None,
        namespace: "n",
        id: "a",
        user: None,
    };

    async fn open_stdin(path: &str, containerd: Option<&str>) -> (OwnedFd, Held) {
        let paths = StdioPaths {
            stdin: path.to_owned(),
            ..StdioPaths::default()
        };
        let ([stdin, _, _], held) = open(
            &paths,
            Owner {
                containerd,
                ..OWNER
            },
        )
        .await
        .unwrap();
        (stdin, held)
    }

    /// And no longer than it may.
    #[tokio::test]
    async fn the_end_waits_until_output_is_taken() {
        let path = make_fifo("taken");
        let paths = StdioPaths {
            stdout: path.clone(),
            ..StdioPaths::default()
        };
        let ([_, stdout, _], held) = open(&paths, OWNER).await.unwrap();
        File::from(stdout).write_all(b"all of it").unwrap();
        let begin = std::time::Instant::now();
        held.taken().await;
        assert!(begin.elapsed() >= CLIENT_READS_WITHIN, "nobody has read it");
        let client = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            File::open(path).unwrap().read(&mut [0; 64]).unwrap()
        });
        held.taken().await;
        assert!(held.is_taken());
        assert_eq!(client.join().unwrap(), b"all of it".len());
    }

    #[tokio::test]
    async fn input_ends_when_the_client_closes_its_end() {
        let path = make_fifo("client");
        let (stdin, _held) = open_stdin(&path, None).await;
        let mut client = File::options().write(true).open(&path).unwrap();
        client.write_all(b"all of it").unwrap();
        drop(client);
        assert_eq!(read_all(stdin).await, "all of it");
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn input_ends_when_no_client_comes() {
        let path = make_fifo("nobody");
        let (stdin, held) = open_stdin(&path, None).await;
        held.started();
        assert_eq!(read_all(stdin).await, "");
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn input_waits_for_a_client_that_came() {
        let path = make_fifo("slow");
        let (stdin, held) = open_stdin(&path, None).await;
        let mut client = File::options().write(true).open(&path).unwrap();
        held.started();
        tokio::time::sleep(Duration::from_millis(800)).await;
        client.write_all(b"late").unwrap();
        drop(client);
        assert_eq!(read_all(stdin).await, "late");
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn input_survives_containerd_until_it_is_closed() {
        let path = make_fifo("restart");
        let (stdin, held) = open_stdin(&path, Some("/no/such/socket")).await;
        held.started();
        for part in ["before", " and after"] {
            let mut client = File::options().write(true).open(&path).unwrap();
            client.write_all(part.as_bytes()).unwrap();
            drop(client);
            tokio::time::sleep(Duration::from_millis(800)).await;
        }
        held.close_stdin();
        assert_eq!(read_all(stdin).await, "before and after");
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn input_goes_on_while_one_of_two_clients_is_there() {
        let path = make_fifo("two");
        let (stdin, held) = open_stdin(&path, None).await;
        held.started();
        let open = || File::options().write(true).open(&path).unwrap();
        let (mut one, mut other) = (open(), open());
        one.write_all(b"one").unwrap();
        drop(one);
        tokio::time::sleep(Duration::from_millis(100)).await;
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
        tokio::time::sleep(Duration::from_millis(800)).await;
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
        let ([_, stdout, _], held) = open(&paths, OWNER).await.unwrap();
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
    }

    #[tokio::test]
    async fn output_is_appended_to_a_log_file() {
        let folder = std::env::temp_dir().join(format!("stdio-log-{}", std::process::id()));
        let uri = format!("file://{}/deep/log", folder.display());
        let paths = StdioPaths {
            stdout: uri.clone(),
            stderr: uri,
            ..StdioPaths::default()
        };
        for text in ["one\n", "two\n"] {
            let ([_, stdout, stderr], _) = open(&paths, OWNER).await.unwrap();
            File::from(stdout).write_all(text.as_bytes()).unwrap();
            File::from(stderr).write_all(b"error\n").unwrap();
        }
        let log = std::fs::read_to_string(folder.join("deep/log")).unwrap();
        assert_eq!(log, "one\nerror\ntwo\nerror\n");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_logger_has_both_streams() {
        let folder = std::env::temp_dir().join(format!("stdio-logger-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let logger = folder.join("logger");
        let script = "#!/bin/sh\nexec 5>&-\n\
                      echo \"$CONTAINER_NAMESPACE $CONTAINER_ID\" >\"$2.tmp\"\n\
                      cat <&3 >>\"$2.tmp\"; cat <&4 >>\"$2.tmp\"; mv \"$2.tmp\" \"$2\"\n";
        std::fs::write(&logger, script).unwrap();
        std::fs::set_permissions(&logger, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let log = folder.join("log");
        let uri = format!("binary://{}?to={}", logger.display(), log.display());
        let paths = StdioPaths {
            stdout: uri.clone(),
            stderr: uri,
            ..StdioPaths::default()
        };
        let ([_, stdout, stderr], _) = open(&paths, OWNER).await.unwrap();
        File::from(stdout).write_all(b"out\n").unwrap();
        File::from(stderr).write_all(b"err\n").unwrap();
        while !log.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(std::fs::read_to_string(log).unwrap(), "n a\nout\nerr\n");
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// As a client and a process see it: echo, lines, the size, the end.
    #[tokio::test]
    async fn a_terminal_is_between_client_and_process() {
        let (stdin, stdout) = (make_fifo("tty-in"), make_fifo("tty-out"));
        let paths = StdioPaths {
            stdin: stdin.clone(),
            stdout: stdout.clone(),
            terminal: true,
            ..StdioPaths::default()
        };
        let ([tty, one, other], held) = open(&paths, OWNER).await.unwrap();
        drop((one, other));
        held.console().unwrap().resize(132, 43).unwrap();
        let size = rustix::termios::tcgetwinsize(&tty).unwrap();
        assert_eq!((size.ws_col, size.ws_row), (132, 43));
        let mut client = File::options().write(true).open(&stdin).unwrap();
        client.write_all(b"line\r").unwrap();
        let mut tty = File::from(tty);
        let (mut tty, line) = tokio::task::spawn_blocking(move || {
            let mut line = [0; 16];
            let count = tty.read(&mut line).unwrap();
            (tty, line[..count].to_vec())
        })
        .await
        .unwrap();
        assert_eq!(line, b"line\n");
        tty.write_all(b"done\n").unwrap();
        drop(tty);
        let output = File::open(&stdout).unwrap();
        held.console().unwrap().drained().await;
        drop(held);
        assert_eq!(read_all(output.into()).await, "line\r\ndone\r\n");
        for fifo in [stdin, stdout] {
            std::fs::remove_file(fifo).unwrap();
        }
    }
}
