//! Native programs, such as a pod's pause container or a sidecar.

use std::time::Duration;

use serde_json::json;
use shim_test::bundle;
use shim_test::case::Case;
use shim_test::guest_image::{self, NATIVE, USER_ID};

crate::tests! {
    any: native_hello, native_exit_code, native_sigkill, native_sigterm_handled, native_environment,
        native_user_of_image, native_identity, keyrings_are_not_shared;
    wasm:
}

fn native_hello(case: &Case) {
    assert_eq!(
        case.run("a").program(NATIVE, ["hello"]).output().success(),
        "hello from native code\n"
    );
}

fn native_exit_code(case: &Case) {
    for code in [0, 42, 255] {
        case.run("a")
            .program(NATIVE, ["exit", &code.to_string()])
            .output()
            .expect_code(code);
    }
}

fn native_sigkill(case: &Case) {
    let mut live = case.run("a").program(NATIVE, ["sleep"]).start();
    live.expect_line("ready");
    case.containerd.ctr.kill(&live.id, "SIGKILL").expect_code(0);
    live.finish(Duration::from_secs(5)).expect_code(137);
}

/// Kubernetes' pause ends at SIGTERM by its own handler.
fn native_sigterm_handled(case: &Case) {
    let mut live = case.run("a").program(NATIVE, ["pause"]).start();
    live.expect_line("ready");
    case.containerd.ctr.kill(&live.id, "SIGTERM").expect_code(0);
    live.finish(Duration::from_secs(5)).expect_code(0);
}

fn native_environment(case: &Case) {
    let output = case
        .run("a")
        .flags(["--env", "A=1"])
        .program(NATIVE, ["env"])
        .output()
        .success();
    let mut lines: Vec<&str> = output.lines().collect();
    lines.sort_unstable();
    lines.retain(|line| !line.starts_with("HOME=") && *line != "PWD=/data");
    assert_eq!(lines, ["A=1", "FROM_IMAGE=as it is", "PATH=/bin:/usr/bin"]);
}

fn native_user_of_image(case: &Case) {
    let output = case
        .run("a")
        .image(guest_image::USER)
        .program(NATIVE, ["id"])
        .output()
        .success();
    for line in [
        format!("uid={USER_ID}"),
        format!("gid={USER_ID}"),
        "cwd=/data".into(),
        "pid=1".into(),
    ] {
        assert!(
            output.lines().any(|found| found == line),
            "no {line}:\n{output}"
        );
    }
}

/// What the spec says of the process, read by the process itself.
fn native_identity(case: &Case) {
    let folder = case.folder("bundle");
    let root = bundle::root_fs(&folder);
    let cgroup = format!("/{}/{}", case.containerd.namespace(), case.id("a"));
    let mut spec = bundle::spec(&root, &[NATIVE, "id"], &cgroup);
    spec["process"]["user"] = json!({"uid": 1001, "gid": 1002, "additionalGids": [1003]});
    spec["process"]["cwd"] = "/data".into();
    let file = bundle::write(&folder, &spec).to_string_lossy().into_owned();
    let output = case
        .run("a")
        .flags(["--config", &file])
        .default_program()
        .output()
        .success();
    let expected = [
        "pid=1",
        "uid=1001",
        "gid=1002",
        "cwd=/data",
        "hostname=host-of-the-test",
        // CAP_KILL is bit 5.
        "CapBnd:\t0000000000000020",
        "NoNewPrivs:\t1",
    ];
    for line in expected {
        assert!(
            output.lines().any(|found| found == line),
            "no {line:?}:\n{output}"
        );
    }
}

/// Keys in the session keyring would be everybody's.
fn keyrings_are_not_shared(case: &Case) {
    let keyring = |id: &str| {
        let run = case.run(id).program(NATIVE, ["keyring"]);
        run.output()
            .success()
            .trim()
            .parse::<i64>()
            .expect("a number")
    };
    let (one, other) = (keyring("a"), keyring("b"));
    assert!(one > 0 && other > 0, "{one}, {other}");
    assert_ne!(one, other);
}
