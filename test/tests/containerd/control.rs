//! Pause, limits that change, memory that ends, terminals, logs.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use containerd_shim_protos::api::{CreateTaskRequest, CreateTaskResponse, Empty, ResizePtyRequest};
use containerd_shim_protos::ttrpc::Code;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use shim_test::bundle;
use shim_test::case::Case;
use shim_test::guest_image::GUEST;
use shim_test::task::Shim;
use shim_test::{cgroup, ctr, wait};

crate::tests! {
    any: pause_and_resume, pause_of_a_sleeper, kill_while_paused, limits_can_change, out_of_memory_is_told, terminal, log_to_a_file;
    wasm: checkpoint_says_no, log_to_a_program
}

const LIMIT: Duration = Duration::from_secs(20);

fn status(case: &Case, id: &str) -> String {
    case.containerd.ctr.status(id).expect("the task").1
}

fn pause_and_resume(case: &Case) {
    let mut live = case.run("a").guest(["cat"]).start();
    live.send("before\n").expect_line("before");
    let ctr = &case.containerd.ctr;
    ctr.call(&["tasks", "pause", &live.id]).expect_code(0);
    assert_eq!(status(case, &live.id), "PAUSED");
    case.containerd.events().wait(&live.id, "/tasks/paused");
    live.send("while paused\n");
    live.expect_silence(Duration::from_millis(300));
    ctr.call(&["tasks", "resume", &live.id]).expect_code(0);
    case.containerd.events().wait(&live.id, "/tasks/resumed");
    live.expect_line("while paused");
    assert_eq!(status(case, &live.id), "RUNNING");
    live.close_stdin();
    live.finish(LIMIT).expect_code(0);
}

/// The kernel interrupts some system calls when it thaws; no guest may see that.
fn pause_of_a_sleeper(case: &Case) {
    let mut live = case.run("a").guest(["nap", "1000"]).start();
    live.expect_line("ready");
    let ctr = &case.containerd.ctr;
    ctr.call(&["tasks", "pause", &live.id]).expect_code(0);
    ctr.call(&["tasks", "resume", &live.id]).expect_code(0);
    live.expect_line("woke");
    live.finish(LIMIT).expect_code(0);
}

fn kill_while_paused(case: &Case) {
    let mut live = case.run("a").guest(["sleep"]).start();
    live.expect_line("ready");
    let ctr = &case.containerd.ctr;
    ctr.call(&["tasks", "pause", &live.id]).expect_code(0);
    ctr.kill(&live.id, "SIGKILL").expect_code(0);
    live.finish(LIMIT).expect_code(137);
}

fn limits_can_change(case: &Case) {
    let id = case.id("a");
    let group = format!("/{}/{id}", case.containerd.namespace());
    case.run("a").guest(["sleep"]).detach();
    let shim = Shim::of(&case.containerd, &id);
    let resources = json!({
        "memory": {"limit": 100 << 20},
        "cpu": {"quota": 30000, "period": 100_000},
        "pids": {"limit": 44},
    });
    shim.update(&id, &resources).expect("Update");
    let value = |files: &[&str]| cgroup::value(&group, files).expect("a limit");
    assert_eq!(value(&["memory.limit_in_bytes", "memory.max"]), "104857600");
    let cpu = value(&["cpu.cfs_quota_us", "cpu.max"]);
    assert!(["30000", "30000 100000"].contains(&cpu.as_str()), "{cpu}");
    assert_eq!(value(&["pids.max"]), "44");
    case.containerd.ctr.remove(&id);
}

/// The kernel ends what takes more than it may; containerd is told why.
fn out_of_memory_is_told(case: &Case) {
    let id = case.id("a");
    let (folder, group) = (
        case.folder("bundle"),
        format!("/{}/{id}", case.containerd.namespace()),
    );
    let args = [shim_test::guest_image::NATIVE, "grow", "256"];
    let mut spec = bundle::spec(&bundle::root_fs(&folder), &args, &group);
    spec["linux"]["resources"] = json!({"memory": {"limit": 32 << 20, "swap": 32 << 20}});
    let file = bundle::write(&folder, &spec).to_string_lossy().into_owned();
    let run = case.run("a").flags(["--config", &file]);
    run.default_program().output().expect_code(137);
    case.containerd.events().wait(&id, "/tasks/oom");
    let events = case.containerd.events().of(&id);
    let place = |topic| events.iter().position(|event| event.topic == topic);
    assert!(place("/tasks/oom") < place("/tasks/exit"), "{events:?}");
}

/// Echo, line editing and the size are the terminal's; Ctrl-D ends the input.
fn terminal(case: &Case) {
    let host = case.id("host");
    case.run("host").guest(["sleep"]).detach();
    let shim = Shim::of(&case.containerd, &host);
    let (id, folder) = (case.id("tty"), case.folder("tty"));
    let cgroup = format!("/{}/{id}", case.containerd.namespace());
    let mut spec = bundle::spec(&bundle::root_fs(&folder), &[GUEST, "cat"], &cgroup);
    spec["process"]["terminal"] = json!(true);
    let mounts = spec["mounts"].as_array_mut().expect("mounts");
    let options = ["newinstance", "ptmxmode=0666", "mode=0620"];
    mounts.push(json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": options}));
    bundle::write(&folder, &spec);
    let fifos = ["stdin", "stdout"].map(|name| folder.join(name));
    for fifo in &fifos {
        mknodat(CWD, fifo, FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
    }
    let [writer, stdout] = fifos.clone();
    let stdin = thread::spawn(move || File::options().write(true).open(writer));
    let reader = thread::spawn(move || {
        let mut text = String::new();
        File::open(stdout)
            .and_then(|mut file| file.read_to_string(&mut text))
            .expect("a FIFO");
        text
    });
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let request = CreateTaskRequest {
        id: id.clone(),
        bundle: path(&folder),
        stdin: path(&fifos[0]),
        stdout: path(&fifos[1]),
        terminal: true,
        ..Default::default()
    };
    let _: CreateTaskResponse = shim.call("Create", &request).expect("Create");
    let mut stdin = stdin.join().expect("opener").expect("stdin");
    shim.start(&id).expect("Start");
    let size = ResizePtyRequest {
        id: id.clone(),
        width: 100,
        height: 40,
        ..Default::default()
    };
    let _: Empty = shim.call("ResizePty", &size).expect("ResizePty");
    assert!(shim.state(&id).expect("State").terminal);
    // The backspace takes back a letter before the program sees the line.
    stdin.write_all(b"onn\x7fe\r").expect("a write");
    thread::sleep(Duration::from_millis(300));
    stdin.write_all(b"\x04").expect("a write");
    assert_eq!(shim.wait(&id).expect("Wait").exit_status, 0);
    shim.delete(&id).expect("Delete");
    let text = reader.join().expect("reader");
    assert!(
        text.ends_with("one\r\none\r\n") || text.ends_with("\r\none\r\n"),
        "{text:?}"
    );
    case.containerd.ctr.remove(&host);
}

fn log_to_a_file(case: &Case) {
    let log = case.folder("logs").join("deep/a.log");
    let uri = format!("file://{}", log.display());
    let id = case.id("a");
    let run = case.run("a").flags(["--log-uri", &uri]);
    run.guest(["both", "to stdout", "to stderr"])
        .detach_logged()
        .expect_code(0);
    case.containerd.events().wait(&id, "/tasks/exit");
    let text = fs::read_to_string(&log).expect("the log");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["to stderr", "to stdout"]);
    case.containerd.ctr.remove(&id);
}

fn log_to_a_program(case: &Case) {
    let folder = case.folder("logger");
    let (logger, log) = (folder.join("logger"), folder.join("log"));
    let script = "#!/bin/sh\nexec 5>&-\n\
        { echo \"$CONTAINER_NAMESPACE $CONTAINER_ID\"; cat <&3; cat <&4; } >\"$2.part\"\nmv \"$2.part\" \"$2\"\n";
    fs::write(&logger, script).expect("the logger");
    fs::set_permissions(&logger, fs::Permissions::from_mode(0o755)).expect("its mode");
    let uri = format!("binary://{}?to={}", logger.display(), log.display());
    let id = case.id("a");
    let run = case.run("a").flags(["--log-uri", &uri]);
    run.guest(["both", "to stdout", "to stderr"])
        .detach_logged()
        .expect_code(0);
    case.containerd.events().wait(&id, "/tasks/exit");
    wait::until_clean(ctr::LIMIT, || (!log.exists()).then(|| "no log".into()));
    let text = fs::read_to_string(&log).expect("the log");
    let expected = format!(
        "{} {id}\nto stdout\nto stderr\n",
        case.containerd.namespace()
    );
    assert_eq!(text, expected);
    case.containerd.ctr.remove(&id);
}

fn checkpoint_says_no(case: &Case) {
    let id = case.id("a");
    case.run("a").guest(["sleep"]).detach();
    let shim = Shim::of(&case.containerd, &id);
    let request = containerd_shim_protos::api::CheckpointTaskRequest {
        id: id.clone(),
        ..Default::default()
    };
    let refused: Result<Empty, _> = shim.call("Checkpoint", &request);
    let (code, sentence) = refused.expect_err("Checkpoint");
    assert_eq!(code, Code::UNIMPLEMENTED);
    assert!(sentence.contains("checkpoint"), "{sentence}");
    case.containerd.ctr.remove(&id);
}
