//! Standard input and output: whole, in order, with an end.

use std::fs::{self, File};
use std::io::Write;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use shim_test::case::Case;
use shim_test::guest_image::GUEST;
use shim_test::task::Shim;
use shim_test::{bundle, pattern};

crate::tests! {
    any: stdin_to_its_end, stdin_empty, ten_megabytes_through, conversation, hundred_megabytes_out, dies_at_once,
        close_io, null_stdio, null_stdio_swallows;
    wasm: stdin_ends_early
}

const MIB: usize = 1 << 20;

fn stdin_to_its_end(case: &Case) {
    assert_eq!(
        case.run("a")
            .guest(["cat"])
            .stdin("x\ny")
            .output()
            .success(),
        "x\ny"
    );
}

fn stdin_empty(case: &Case) {
    assert_eq!(
        case.run("a").guest(["count"]).stdin("").output().success(),
        "0\n"
    );
}

fn ten_megabytes_through(case: &Case) {
    let data: Vec<u8> = (0..10 * MIB / 4)
        .flat_map(|word| (word as u32).to_le_bytes())
        .collect();
    let output = case.run("a").guest(["cat"]).stdin(data.clone()).output();
    output.expect_code(0);
    assert_eq!(output.stdout.len(), data.len());
    assert!(output.stdout == data, "the bytes differ");
}

/// Each line comes back before the next is sent: nothing waits for a full buffer.
fn conversation(case: &Case) {
    let mut live = case.run("a").guest(["cat"]).start();
    live.send("one\n")
        .expect_line("one")
        .send("two\n")
        .expect_line("two")
        .close_stdin();
    live.finish(Duration::from_secs(20)).expect_code(0);
}

fn hundred_megabytes_out(case: &Case) {
    let bytes = 100 * MIB;
    let output = case
        .run("a")
        .guest(["flood", &bytes.to_string()])
        .limit(Duration::from_secs(120))
        .output();
    assert_eq!(output.code, 0, "{}", output.stderr_text());
    assert_eq!(output.stdout.len(), bytes);
    assert_eq!(pattern::first_difference(&output.stdout, bytes), None);
}

/// `echo x | ctr run`, where stdin ends long before the task is there.
fn stdin_ends_early(case: &Case) {
    for text in ["x\n", ""] {
        assert_eq!(
            case.run("a").guest(["cat"]).piped(text).output().success(),
            text
        );
    }
}

/// What a program wrote arrives although it is gone at once. Not through
/// `ctr`, which gives up FIFOs that it is slow to open.
fn dies_at_once(case: &Case) {
    let host = case.id("host");
    case.run("host").guest(["sleep"]).detach();
    let shim = Shim::of(&case.containerd, &host);
    for round in 0..20 {
        let id = case.id(&format!("round-{round}"));
        let text = format!("said in round {round}");
        let (_, stdout, stderr) =
            fifo_container(case, &shim, &id, &["both", &text, "and on stderr"]);
        shim.start(&id).expect("Start");
        assert_eq!(shim.wait(&id).expect("Wait").exit_status, 0);
        shim.delete(&id).expect("Delete");
        assert_eq!(
            stdout.join().expect("reader"),
            format!("{text}\n").into_bytes()
        );
        assert_eq!(stderr.join().expect("reader"), b"and on stderr\n");
    }
    case.containerd.ctr.remove(&host);
}

/// With CloseIO and the client's end closed, stdin ends; what was written
/// before still arrives.
fn close_io(case: &Case) {
    let host = case.id("host");
    case.run("host").guest(["sleep"]).detach();
    let shim = Shim::of(&case.containerd, &host);
    let id = case.id("driven");
    let (mut stdin, stdout, _) = fifo_container(case, &shim, &id, &["cat"]);
    shim.start(&id).expect("Start");
    stdin
        .write_all(b"before the end")
        .expect("a write to the FIFO");
    shim.close_stdin(&id).expect("CloseIO");
    drop(stdin);
    assert_eq!(shim.wait(&id).expect("Wait").exit_status, 0);
    shim.delete(&id).expect("Delete");
    assert_eq!(stdout.join().expect("reader"), b"before the end");
    case.containerd.ctr.remove(&host);
}

type Reader = JoinHandle<Vec<u8>>;

/// Creates a container on a running shim with FIFOs whose other ends are ours:
/// stdin to write to, and readers of stdout and stderr up to their ends.
fn fifo_container(case: &Case, shim: &Shim, id: &str, args: &[&str]) -> (File, Reader, Reader) {
    let folder = case.folder(id);
    let cgroup = format!("/{}/{id}", case.containerd.namespace());
    let args: Vec<&str> = [GUEST].iter().chain(args).copied().collect();
    bundle::write(
        &folder,
        &bundle::spec(&bundle::root_fs(&folder), &args, &cgroup),
    );
    let fifos = ["stdin", "stdout", "stderr"].map(|name| folder.join(name));
    for fifo in &fifos {
        mknodat(CWD, fifo, FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
    }
    // Opening waits for the shim's end.
    let [writer, stdout, stderr] = fifos.clone();
    let stdin = thread::spawn(move || File::options().write(true).open(writer));
    let reader = |path| thread::spawn(move || fs::read(path).expect("a FIFO"));
    let (stdout, stderr) = (reader(stdout), reader(stderr));
    shim.create(id, &folder, [&fifos[0], &fifos[1], &fifos[2]])
        .expect("Create");
    (
        stdin.join().expect("opener").expect("stdin"),
        stdout,
        stderr,
    )
}

/// With no streams at all, stdin is at its end and the exit code counts.
fn null_stdio(case: &Case) {
    for (suffix, args, code) in [("a", ["exit", "7"].as_slice(), 7), ("b", &["count"], 0)] {
        let id = case.id(suffix);
        case.run(suffix).guest(args.iter().copied()).detach();
        assert_eq!(
            case.containerd
                .events()
                .wait(&id, "/tasks/exit")
                .number("exit_status"),
            code
        );
        case.containerd.ctr.delete_task(&id, code);
        case.containerd.ctr.delete_container(&id).expect_code(0);
    }
}

fn null_stdio_swallows(case: &Case) {
    let id = case.id("a");
    case.run("a").guest(["flood", "1000000"]).detach();
    assert_eq!(
        case.containerd
            .events()
            .wait(&id, "/tasks/exit")
            .number("exit_status"),
        0
    );
    case.containerd.ctr.delete_task(&id, 0);
    case.containerd.ctr.delete_container(&id).expect_code(0);
}
