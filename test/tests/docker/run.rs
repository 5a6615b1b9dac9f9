//! `docker run`, to the end of the program.

use std::fs;

use shim_test::command;
use shim_test::docker::{Case, LIMIT, OFF_PATH};
use shim_test::guest_image::NATIVE;
use shim_test::native_code;

shim_test::tests! {
    any: run_args, run_of_the_image, run_env, run_workdir, run_exit_code, run_stdin, run_both_streams,
        run_volumes, run_volume_of_a_file, run_named_volume, run_read_only, run_user, run_not_found,
        run_native;
    wasm: run_shim_off_path, run_init, run_trap, run_outputs, run_native_code
}

/// Compiled before the start, as an annotation asks for; the next start finds it.
fn run_native_code(case: &Case) {
    for policy in ["wait", "background"] {
        let annotation = format!("io.containerd.wasm.aot={policy}");
        let name = case.detach(&["--annotation", &annotation], &["sleep"]);
        let pid = case.inspect(&name, ".State.Pid").parse().expect("a pid");
        case.follow(&["logs", "--follow", &name])
            .expect_line("ready");
        assert!(native_code::code_of(pid).is_some(), "{policy}: interpreted");
        case.remove(&name);
    }
}

fn run_args(case: &Case) {
    let output = case.run(&["--network", "bridge"], &["args", "one", "two words", ""]);
    assert_eq!(
        output.success(),
        "[/guest]\n[args]\n[one]\n[two words]\n[]\n"
    );
}

fn run_of_the_image(case: &Case) {
    let output = case.run(&[], &[]);
    assert_eq!(output.success(), "[/guest]\n[args]\n[from the image]\n");
}

fn run_env(case: &Case) {
    let text = case.run(&["--env", "ADDED=a b"], &["env"]).success();
    for line in ["ADDED=a b", "FROM_IMAGE=as it is"] {
        assert!(text.lines().any(|found| found == line), "{text}");
    }
    assert!(!text.contains("HOST_SECRET"), "{text}");
}

fn run_workdir(case: &Case) {
    let output = case.run(&["--workdir", "/data/nested"], &["read", "inner"]);
    assert_eq!(output.success(), "inner\n");
}

fn run_exit_code(case: &Case) {
    case.run(&[], &["exit", "42"]).expect_code(42);
}

fn run_stdin(case: &Case) {
    let mut live = case.start(&["--interactive"], &["cat"]);
    live.send("one\n").expect_line("one");
    live.send("two\n").expect_line("two");
    live.close_stdin();
    live.finish(LIMIT).expect_code(0);
}

fn run_both_streams(case: &Case) {
    let output = case.run(&[], &["both", "out", "err"]);
    assert_eq!(output.success(), "out\n");
    assert_eq!(output.stderr_text(), "err\n");
}

fn run_volumes(case: &Case) {
    let (inputs, outputs) = (case.folder("in"), case.folder("out"));
    fs::write(inputs.join("file"), "from the host\n").expect("a file");
    let inputs = format!("{}:/inputs:ro", inputs.display());
    let into = format!("{}:/outputs", outputs.display());
    let flags = ["--volume", &inputs, "--volume", &into];
    let read = case.run(&flags, &["read", "/inputs/file"]);
    assert_eq!(read.success(), "from the host\n");
    let refused = case.run(&flags, &["write", "/inputs/file", "x"]);
    refused.expect_code(1);
    assert!(refused.stderr_text().contains("Read-only file system"));
    case.run(&flags, &["write", "/outputs/file", "to the host"])
        .success();
    let written = fs::read_to_string(outputs.join("file")).expect("the guest's file");
    assert_eq!(written, "to the host");
}

fn run_volume_of_a_file(case: &Case) {
    let file = case.folder("in").join("file");
    fs::write(&file, "one file\n").expect("a file");
    let volume = format!("{}:/data/one:ro", file.display());
    let output = case.run(&["--volume", &volume], &["read", "/data/one"]);
    assert_eq!(output.success(), "one file\n");
}

/// What one container writes the next one reads.
fn run_named_volume(case: &Case) {
    let name = case.name("volume");
    let volume = format!("{name}:/kept");
    case.run(&["--volume", &volume], &["write", "/kept/file", "kept"])
        .success();
    let read = case.run(&["--volume", &volume], &["read", "/kept/file"]);
    assert_eq!(read.success(), "kept");
    case.call(&["volume", "rm", &name]).success();
}

fn run_read_only(case: &Case) {
    let flags = ["--read-only", "--tmpfs", "/tmp"];
    let refused = case.run(&flags, &["write", "/data/file", "x"]);
    refused.expect_code(1);
    assert!(refused.stderr_text().contains("Read-only file system"));
    case.run(&flags, &["write", "/tmp/file", "x"]).success();
}

fn run_user(case: &Case) {
    let flags = ["--user", "1234:77", "--entrypoint", NATIVE];
    let text = case.run(&flags, &["id"]).success();
    assert!(text.contains("uid=1234\ngid=77\n"), "{text}");
    // Root's files are not this user's to write.
    let refused = case.run(&flags[..2], &["write", "/data/greeting", "x"]);
    refused.expect_code(1);
    assert!(refused.stderr_text().contains("ermission denied"));
}

/// Docker's exit codes for what can't be started, and one sentence.
fn run_not_found(case: &Case) {
    for (program, code) in [("/no/such", 127), ("/data", 126)] {
        let output = case.run(&["--entrypoint", program], &[]);
        output.expect_code(code);
        assert!(
            output.stderr_text().contains(program),
            "{}",
            output.describe()
        );
    }
}

fn run_native(case: &Case) {
    let output = case.run(&["--entrypoint", NATIVE], &["hello"]);
    assert_eq!(output.success(), "hello from native code\n");
}

/// `daemon.json` names a shim that containerd would not find by itself.
fn run_shim_off_path(case: &Case) {
    let output = case.run(&["--runtime", OFF_PATH], &["hello"]);
    assert_eq!(output.success(), "hello from the guest\n");
}

/// A module needs no init and gets none; a native program has it.
fn run_init(case: &Case) {
    let output = case.run(&["--init"], &["args", "one"]);
    assert_eq!(output.success(), "[/guest]\n[args]\n[one]\n");
    let native = case.run(&["--init", "--entrypoint", NATIVE], &["id"]);
    assert!(!native.success().contains("pid=1\n"));
}

fn run_trap(case: &Case) {
    let output = case.run(&[], &["trap"]);
    output.expect_code(134);
    assert!(output.stderr_text().starts_with("wasm trap: "));
}

/// `/outputs` of a container that has ended, as an archive and as a folder.
fn run_outputs(case: &Case) {
    case.run_and_keep(&["--user", "1234"], &["write", "/outputs/file", "result"])
        .success();
    let name = case.name("a");
    let copies = case.folder("copies");
    let copy = |from: &str| {
        let from = format!("{name}:{from}");
        case.call(&["cp", &from, &copies.to_string_lossy()])
            .success();
    };
    copy("/outputs");
    copy("/outputs/file");
    for file in ["outputs/file", "file"] {
        let text = fs::read_to_string(copies.join(file)).expect("the copy");
        assert_eq!(text, "result");
    }
    let mut list = case.docker.command("bash");
    list.args([
        "-c",
        "docker cp \"$0\":/outputs/file - | tar --numeric-owner -tv",
        &name,
    ]);
    let listed = command::output(list, LIMIT).success();
    assert!(listed.contains("1234/0"), "{listed}");
    case.remove(&name);
}
