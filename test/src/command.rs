//! Runs a program to its end with a time limit, everything it says captured.

use std::io::Read;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::wait;

/// What a finished program did.
#[derive(Debug)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// The exit code, or 128 + n when signal n ended it.
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Output {
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The standard output, after a check that the exit code is 0.
    pub fn success(&self) -> String {
        self.expect_code(0);
        self.stdout_text()
    }

    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "exit code of {}", self.describe());
        self
    }

    /// Everything about the run, cut where it would fill the screen.
    pub fn describe(&self) -> String {
        let cut =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(4000)]).into_owned();
        let (command, code) = (&self.command, self.code);
        let (stdout, stderr) = (cut(&self.stdout), cut(&self.stderr));
        format!("`{command}`: exit code {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
    }
}

/// Runs `command` with no input. Panics when it takes longer than `limit`,
/// after killing it.
pub fn output(command: Command, limit: Duration) -> Output {
    output_with(command, limit, drop)
}

/// The same with input: `feed` is given the writing end of stdin.
pub fn output_with(
    mut command: Command,
    limit: Duration,
    feed: impl FnOnce(ChildStdin) + Send,
) -> Output {
    let line = command_line(&command);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    let input = child.stdin.take().expect("piped");
    let stdout = collect(child.stdout.take().expect("piped"));
    let stderr = collect(child.stderr.take().expect("piped"));
    let (status, in_time) = thread::scope(|scope| {
        scope.spawn(|| feed(input));
        finish(&mut child, limit)
    });
    let output = Output {
        command: line,
        code: exit_code(status),
        stdout: stdout.join().expect("reader"),
        stderr: stderr.join().expect("reader"),
    };
    assert!(
        in_time,
        "not finished after {limit:?}: {}",
        output.describe()
    );
    output
}

/// Waits for the end of `child`, and kills it when the time is over. The second
/// value tells whether it ended by itself.
pub fn finish(child: &mut Child, limit: Duration) -> (ExitStatus, bool) {
    let in_time = wait::child_ends(child, limit);
    if !in_time {
        // It may have ended in this very moment: then there is nothing to kill.
        drop(child.kill());
    }
    (child.wait().expect("our own child"), in_time)
}

/// Reads a stream to its end on a thread of its own.
pub fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth showing.
        drop(from.read_to_end(&mut bytes));
        bytes
    })
}

pub fn exit_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// The command line for people; no quoting that a shell would need.
pub fn command_line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}
