//! A `ctr run` that is still running, or any other program that talks.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::command::{self, Output};
use crate::ctr;

/// A running program whose output is read line by line.
#[derive(Debug)]
pub struct Live {
    pub id: String,
    command: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Live {
    /// `command` has all three streams piped.
    pub fn new(mut command: Command, id: String) -> Self {
        let line = command::command_line(&command);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            // The receiver is gone when the test is over: then nobody wants more.
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let stderr = child.stderr.take().map(command::collect);
        let stdin = child.stdin.take();
        Self {
            id,
            command: line,
            child,
            stdin,
            lines,
            stderr,
        }
    }

    /// A program that is started with all three streams piped.
    pub fn piped(mut command: Command, id: String) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self::new(command, id)
    }

    /// Waits for the next line of output.
    pub fn line(&mut self) -> String {
        self.lines.recv_timeout(ctr::LIMIT).unwrap_or_else(|error| {
            // One whose output has ended is about to end.
            if error == RecvTimeoutError::Timeout {
                drop(self.child.kill());
            }
            let output = self.end(ctr::LIMIT);
            panic!("no further line: {}", output.describe())
        })
    }

    /// Waits for the next line of output and checks it.
    pub fn expect_line(&mut self, expected: &str) -> &mut Self {
        assert_eq!(self.line(), expected, "{}", self.command);
        self
    }

    /// Waits for a while, in which no line may come.
    pub fn expect_silence(&mut self, limit: Duration) -> &mut Self {
        if let Ok(line) = self.lines.recv_timeout(limit) {
            panic!("a line {line:?}: {}", self.command);
        }
        self
    }

    pub fn send(&mut self, text: &str) -> &mut Self {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(text.as_bytes()).expect("the program reads");
        self
    }

    pub fn close_stdin(&mut self) -> &mut Self {
        self.stdin = None;
        self
    }

    /// Waits for the end. Panics when that takes longer than `limit`.
    pub fn finish(mut self, limit: Duration) -> Output {
        self.end(limit)
    }

    fn end(&mut self, limit: Duration) -> Output {
        let (status, in_time) = command::finish(&mut self.child, limit);
        let stdout: Vec<String> = self.lines.iter().collect();
        let stderr = self
            .stderr
            .take()
            .map(|reader| reader.join().expect("reader"));
        let output = Output {
            command: self.command.clone(),
            code: command::exit_code(status),
            stdout: stdout.join("\n").into_bytes(),
            stderr: stderr.unwrap_or_default(),
        };
        assert!(
            in_time,
            "not finished after {limit:?}: {}",
            output.describe()
        );
        output
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // After `finish` there is nothing to kill; after a panic there is.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
