//! `ctr run`, put together step by step.

use std::io::Write;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::command::{self, Output};
use crate::containerd::Containerd;
use crate::ctr;
use crate::guest_image::{self, GUEST};
use crate::live::Live;
use crate::paths;

/// A container to run; by default the guest image's with the guest program.
#[derive(Debug)]
pub struct Run<'a> {
    containerd: &'a Containerd,
    pub id: String,
    image: String,
    flags: Vec<String>,
    command: Vec<String>,
    stdin: Vec<u8>,
    early_end: bool,
    limit: Duration,
}

impl<'a> Run<'a> {
    pub fn new(containerd: &'a Containerd, id: &str) -> Self {
        Self {
            containerd,
            id: id.into(),
            image: guest_image::NAME.into(),
            flags: Vec::new(),
            command: vec![GUEST.into()],
            stdin: Vec::new(),
            early_end: true,
            limit: ctr::LIMIT,
        }
    }

    pub fn image(mut self, name: &str) -> Self {
        self.image = name.into();
        self
    }

    /// The guest program with these arguments.
    pub fn guest<'b>(self, args: impl IntoIterator<Item = &'b str>) -> Self {
        self.program(GUEST, args)
    }

    /// Any program of the image with these arguments.
    pub fn program<'b>(mut self, path: &str, args: impl IntoIterator<Item = &'b str>) -> Self {
        self.command = vec![path.into()];
        self.command.extend(args.into_iter().map(Into::into));
        self
    }

    /// What the image says to run.
    pub fn default_program(mut self) -> Self {
        self.command.clear();
        self
    }

    /// Flags of `ctr run`.
    pub fn flags<'b>(mut self, flags: impl IntoIterator<Item = &'b str>) -> Self {
        self.flags.extend(flags.into_iter().map(Into::into));
        self
    }

    /// A bind mount; `options` are `rbind:ro` or `rbind:rw`.
    pub fn mount(self, source: &std::path::Path, target: &str, options: &str) -> Self {
        let mount = format!(
            "type=bind,src={},dst={target},options={options}",
            source.display()
        );
        self.flags(["--mount", &mount])
    }

    /// Groups with others into one pod, as CRI's annotations do.
    pub fn in_pod(self, pod: &str, kind: &str) -> Self {
        let kind = format!("io.kubernetes.cri.container-type={kind}");
        let pod = format!("io.kubernetes.cri.sandbox-id={pod}");
        self.flags(["--annotation", &kind, "--annotation", &pod])
    }

    /// Input that ends after the task's start.
    ///
    /// When it ends earlier, `ctr` forgets to call CloseIO (its closer is set
    /// only after Create), and a shim that holds a writing end of its own, as
    /// runc's does, waits for ever.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        (self.stdin, self.early_end) = (bytes.into(), false);
        self
    }

    /// Input as a pipe in a shell gives it: it ends when it ends.
    pub fn piped(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        (self.stdin, self.early_end) = (bytes.into(), true);
        self
    }

    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// `ctr run --rm`, to its end.
    pub fn output(self) -> Output {
        command::output_with(self.line(&["--rm"]), self.limit, |stdin| self.feed(stdin))
    }

    fn feed(&self, mut stdin: ChildStdin) {
        // A program may end without reading its input: a broken pipe is no error.
        drop(stdin.write_all(&self.stdin));
        if !self.early_end {
            self.containerd.events().wait(&self.id, "/tasks/start");
        }
    }

    /// `ctr run --rm` in the background, its output read as it comes.
    pub fn start(self) -> Live {
        let mut command = self.line(&["--rm"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Live::new(command, self.id)
    }

    /// `ctr run --detach` with no stdio. Returns the pid of the task's init.
    pub fn detach(self) -> u32 {
        let command = self.line(&["--detach", "--null-io"]);
        command::output(command, self.limit).success();
        self.containerd
            .events()
            .wait(&self.id, "/tasks/start")
            .number("pid")
    }

    /// As [`Run::detach`], with the streams that the flags say.
    pub fn detach_logged(self) -> Output {
        let command = self.line(&["--detach"]);
        command::output(command, self.limit)
    }

    fn line(&self, flags: &[&str]) -> Command {
        let mut command = self.containerd.ctr.command();
        command.arg("run").args(["--runtime", &paths::runtime()]);
        command.args(flags).args(&self.flags);
        if !self.flags.iter().any(|flag| flag == "--config") {
            command.arg(&self.image);
        }
        command.arg(&self.id).args(&self.command);
        command
    }
}
