use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use containerd_shim_protos::api::{
    CloseIORequest, CreateTaskRequest, CreateTaskResponse, ResizePtyRequest,
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use super::Row;
use crate::subject::{Container, Subject, code};

pub const ROWS: &[Row] = &[
    Row {
        method: "CloseIO",
        what: "the program reads to the end",
        run: |subject| {
            let (container, stdin, stdout) = with_streams(subject, &["cat"], false);
            container.start().expect("Start");
            let mut stdin = stdin.join().expect("opener");
            stdin.write_all(b"all of it\n").expect("a write");
            drop(stdin);
            let closed = code(container.shim().close_stdin(&container.id));
            let end = container
                .shim()
                .wait(&container.id)
                .expect("Wait")
                .exit_status;
            container.remove();
            let said = String::from_utf8(stdout.join().expect("reader")).expect("text");
            format!("{closed}, code {end}, {said:?}")
        },
    },
    Row {
        method: "CloseIO",
        what: "a container without streams",
        run: |subject| {
            let container = subject.running();
            let text = code(container.shim().close_stdin(&container.id));
            container.remove();
            text
        },
    },
    Row {
        method: "CloseIO",
        what: "an unknown id",
        run: |subject| code(subject.shim.close_stdin("unknown")),
    },
    Row {
        method: "CloseIO",
        what: "an unknown exec",
        run: |subject| {
            let container = subject.running();
            let request = CloseIORequest {
                id: container.id.clone(),
                exec_id: "unknown".into(),
                stdin: true,
                ..Default::default()
            };
            let text = code(container.call("CloseIO", &request));
            container.remove();
            text
        },
    },
    Row {
        method: "ResizePty",
        what: "a terminal",
        run: |subject| {
            let (container, stdin, stdout) = with_streams(subject, &["cat"], true);
            container.start().expect("Start");
            let mut stdin = stdin.join().expect("opener");
            let resized = resize(&container);
            stdin.write_all(b"line\r").expect("a write");
            thread::sleep(std::time::Duration::from_millis(300));
            stdin.write_all(b"\x04").expect("a write");
            let end = container
                .shim()
                .wait(&container.id)
                .expect("Wait")
                .exit_status;
            drop(stdin);
            container.remove();
            let said = String::from_utf8(stdout.join().expect("reader")).expect("text");
            format!("{resized}, code {end}, {said:?}")
        },
    },
    Row {
        method: "ResizePty",
        what: "a container without a terminal",
        run: |subject| {
            let container = subject.running();
            let text = resize(&container);
            container.remove();
            text
        },
    },
    Row {
        method: "ResizePty",
        what: "an unknown id",
        run: |subject| {
            let mut container = subject.container(&["sleep"]);
            container.id = "unknown".into();
            resize(&container)
        },
    },
];

fn resize(container: &Container<'_>) -> String {
    let request = ResizePtyRequest {
        id: container.id.clone(),
        width: 100,
        height: 40,
        ..Default::default()
    };
    code(container.call("ResizePty", &request))
}

type Streams<'a> = (Container<'a>, JoinHandle<File>, JoinHandle<Vec<u8>>);

/// A container that was created with FIFOs, whose other ends are ours.
fn with_streams<'a>(subject: &'a Subject<'a>, args: &[&str], terminal: bool) -> Streams<'a> {
    let container = subject.container_of(args, |spec| {
        spec["process"]["terminal"] = json!(terminal);
        let mounts = spec["mounts"].as_array_mut().expect("mounts");
        let options = ["newinstance", "ptmxmode=0666", "mode=0620"];
        mounts.push(json!({
            "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": options,
        }));
    });
    let fifo = |name: &str| {
        let path = container.folder.join(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
        path
    };
    let (stdin, stdout) = (fifo("stdin"), fifo("stdout"));
    // runc's shim wants it where there is no terminal.
    let stderr = (!terminal).then(|| fifo("stderr"));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let request = CreateTaskRequest {
        id: container.id.clone(),
        bundle: text(&container.folder),
        stdin: text(&stdin),
        stdout: text(&stdout),
        stderr: stderr.as_deref().map(text).unwrap_or_default(),
        terminal,
        ..Default::default()
    };
    // Opening waits for the shim's end.
    let open = |path: PathBuf| {
        let options = move || File::options().write(true).open(path).expect("the FIFO");
        thread::spawn(options)
    };
    let stdin = open(stdin);
    let stdout = thread::spawn(|| fs::read(stdout).expect("the FIFO"));
    stderr.map(|stderr| thread::spawn(|| fs::read(stderr)));
    let _: CreateTaskResponse = container.shim().call("Create", &request).expect("Create");
    (container, stdin, stdout)
}
