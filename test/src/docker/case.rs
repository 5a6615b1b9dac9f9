//! One test of Docker: its containers, its folders, and their end.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use crate::command::{self, Output};
use crate::docker::{Docker, LIMIT, Version};
use crate::guest_image;
use crate::live::Live;
use crate::{instance, leak, paths};

/// What a test is given. Containers and folders carry the test's name.
#[derive(Debug)]
pub struct Case {
    pub docker: Arc<Docker>,
    name: String,
    /// Containers that stayed after `docker run`, to look for traces of.
    ids: Mutex<Vec<String>>,
}

impl Case {
    /// The name of a container of this test. No test's name has an underscore
    /// here, so that none is the beginning of another's.
    pub fn name(&self, suffix: &str) -> String {
        format!("{}_{suffix}", self.name)
    }

    /// `docker ARGS`, to its end, without input.
    pub fn call(&self, args: &[&str]) -> Output {
        self.docker.call(args)
    }

    /// The start of a command line: `docker run` with runtime, platform and name.
    pub fn run_line(&self, suffix: &str, flags: &[&str]) -> Vec<String> {
        let platform = if paths::runs_wasm() {
            "wasi/wasm"
        } else {
            "linux/amd64"
        };
        let mut line: Vec<String> = ["docker", "run", "--platform", platform, "--name"]
            .map(Into::into)
            .into();
        line.push(self.name(suffix));
        // A network of its own takes a container a fifth of a second.
        let given = |name: &str| flags.iter().any(|flag| flag.starts_with(name));
        if !given("--network") && !given("--publish") {
            line.extend(["--network", "none"].map(Into::into));
        }
        if !given("--runtime") {
            line.extend(["--runtime".into(), paths::runtime()]);
        }
        line.extend(flags.iter().map(|&flag| flag.into()));
        line
    }

    /// The whole of it, with the guest's image and the program's arguments.
    pub fn guest_line(&self, suffix: &str, flags: &[&str], args: &[&str]) -> Vec<String> {
        let image = if paths::runs_wasm() {
            guest_image::WASI
        } else {
            guest_image::NAME
        };
        let mut line = self.run_line(suffix, flags);
        line.push(image.into());
        line.extend(args.iter().map(|&arg| arg.into()));
        line
    }

    /// `docker run --rm FLAGS IMAGE ARGS` of the guest, to its end.
    pub fn run(&self, flags: &[&str], args: &[&str]) -> Output {
        let flags = [&["--rm"], flags].concat();
        self.finish("a", &flags, args)
    }

    /// The same beside a container that stays.
    pub fn run_second(&self, flags: &[&str], args: &[&str]) -> Output {
        let flags = [&["--rm"], flags].concat();
        self.finish("b", &flags, args)
    }

    /// The same without `--rm`: the container stays, under the name `a`.
    pub fn run_and_keep(&self, flags: &[&str], args: &[&str]) -> Output {
        let output = self.finish("a", flags, args);
        self.remember("a");
        output
    }

    fn finish(&self, suffix: &str, flags: &[&str], args: &[&str]) -> Output {
        let line = self.guest_line(suffix, flags, args);
        let mut command = self.docker.command(&line[0]);
        command.args(&line[1..]);
        command::output(command, LIMIT)
    }

    /// `docker run --detach` under the name `a`.
    pub fn detach(&self, flags: &[&str], args: &[&str]) -> String {
        let flags = [&["--detach"], flags].concat();
        self.finish("a", &flags, args).success();
        self.remember("a");
        self.name("a")
    }

    /// `docker run --rm FLAGS IMAGE ARGS` in the background.
    pub fn start(&self, flags: &[&str], args: &[&str]) -> Live {
        let flags = [&["--rm"], flags].concat();
        self.live(&self.guest_line("a", &flags, args))
    }

    /// The same in a terminal.
    pub fn start_in_terminal(&self, flags: &[&str], args: &[&str]) -> Live {
        let flags = [&["--rm", "--interactive", "--tty"], flags].concat();
        self.in_terminal(&self.guest_line("a", &flags, args).join(" "))
    }

    /// Any command line without quotes, in a terminal.
    pub fn in_terminal(&self, line: &str) -> Live {
        let script = [
            "script",
            "--quiet",
            "--return",
            "--command",
            line,
            "/dev/null",
        ];
        self.live(&script.map(Into::into))
    }

    pub fn live(&self, line: &[String]) -> Live {
        let mut command = self.docker.command(&line[0]);
        command
            .args(&line[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Live::new(command, self.name("a"))
    }

    /// `docker logs --follow` or the like, which talks until it has said all.
    pub fn follow(&self, args: &[&str]) -> Live {
        let line = [&["docker"], args].concat();
        let line: Vec<String> = line.iter().map(|&word| word.into()).collect();
        self.live(&line)
    }

    /// A field of `docker inspect`, such as `.State.Status`.
    pub fn inspect(&self, name: &str, field: &str) -> String {
        let format = format!("{{{{{field}}}}}");
        let output = self.call(&["inspect", "--format", &format, name]);
        output.success().trim().into()
    }

    /// A value of a container's cgroup, from whichever of these files there is.
    pub fn limit(&self, name: &str, files: &[&str]) -> Option<String> {
        let id = self.inspect(name, ".Id");
        crate::cgroup::value(&self.docker.cgroup(&id), files)
    }

    fn remember(&self, suffix: &str) {
        let id = self.inspect(&self.name(suffix), ".Id");
        self.ids.lock().expect("no holder panics").push(id);
    }

    /// Stops and removes a container, whatever it does.
    pub fn remove(&self, name: &str) {
        self.call(&["rm", "--force", "--volumes", name]).success();
    }

    /// A new folder of this test on the host.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folders().join(name);
        fs::create_dir_all(&folder).expect("a folder in the sandbox's /run");
        folder
    }

    fn folders(&self) -> PathBuf {
        self.docker.folder().join("files").join(&self.name)
    }

    fn containers(&self) -> Vec<String> {
        let filter = format!("name=^{}_", self.name);
        let list = ["ps", "--all", "--quiet", "--filter", &filter];
        let listed = self.call(&list).stdout_text();
        listed.split_whitespace().map(Into::into).collect()
    }
}

impl instance::Server for Docker {
    type Version = Version;
    type Case = Case;

    fn start(version: &Version) -> Self {
        Self::start(version)
    }

    fn name(version: &Version) -> &str {
        &version.name
    }

    fn group(&self) -> &str {
        self.group()
    }

    fn case(self: &Arc<Self>, test: &str) -> Case {
        Case {
            docker: Arc::clone(self),
            name: test.replace('_', "-"),
            ids: Mutex::default(),
        }
    }
}

impl instance::Case for Case {
    fn assert_clean(&self) {
        let left = self.containers();
        assert!(left.is_empty(), "the test left its containers {left:?}");
        for id in &*self.ids.lock().expect("no holder panics") {
            leak::assert_no_trace(self.docker.namespace(), id);
        }
    }

    fn remove_all(&self) {
        for id in self.containers() {
            self.call(&["rm", "--force", &id]);
        }
    }

    fn log(&self) -> String {
        let ids = self.ids.lock().expect("no holder panics");
        let texts = ids.iter().map(String::as_str).chain([self.name.as_str()]);
        let logs: Vec<_> = texts.map(|text| self.docker.log(text)).collect();
        logs.join("\n")
    }

    fn remove_folders(&self) {
        // Not there when the test made none.
        drop(fs::remove_dir_all(self.folders()));
    }
}
