//! What people type at a running pod: logs, exec, attach.

use serde_json::json;

use crate::harness::{Case, pod};

shim_test::tests! {
    any: logs_follow, exec, exec_of_native_program, attach;
    wasm:
}

fn logs_follow(case: &Case) {
    let container = json!({"stdin": true, "stdinOnce": true});
    case.apply(&pod("a", &["talk"], container, json!({})));
    case.wait("pod/a", "condition=Ready");
    assert_eq!(case.logs("a"), "ready\n");
    let mut follower = case.kubectl().start(&["logs", "--follow", "a"]);
    follower.expect_line("ready");
    let mut input = case.kubectl().start(&["attach", "--stdin", "a"]);
    input.send("one\n");
    follower.expect_line("one");
    input.send("two\n").close_stdin();
    follower.expect_line("two");
    // It ends with the container.
    let limit = shim_test::ctr::LIMIT;
    follower.finish(limit).expect_code(0);
    input.finish(limit).expect_code(0);
    case.wait_for_phase("a", "Succeeded");
    assert_eq!(case.logs("a"), "ready\none\ntwo\n");
}

fn exec(case: &Case) {
    case.apply(&pod("a", &["sleep"], json!({}), json!({})));
    case.wait("pod/a", "condition=Ready");
    let said = case.exec("a", &["/guest", "args", "two words"]).success();
    assert_eq!(said, "[/guest]\n[args]\n[two words]\n");
    let output = case.exec("a", &["/guest", "both", "out", "err"]);
    output.expect_code(0);
    assert_eq!(output.stdout_text(), "out\n");
    assert_eq!(output.stderr_text(), "err\n");
    case.exec("a", &["/guest", "exit", "7"]).expect_code(7);
    let args = ["exec", "--stdin", "a", "--", "/guest", "cat"];
    let said = case.kubectl().feed(&args, "there and back\n").success();
    assert_eq!(said, "there and back\n");
    let missing = case.exec("a", &["/missing"]);
    assert_ne!(missing.code, 0);
    assert!(
        missing.stderr_text().contains("/missing"),
        "{}",
        missing.describe()
    );
}

/// In a pod of the same class.
fn exec_of_native_program(case: &Case) {
    let container = json!({"command": [shim_test::guest_image::NATIVE]});
    case.apply(&pod(
        "a",
        &["sleep"],
        container,
        json!({"terminationGracePeriodSeconds": 0}),
    ));
    case.wait("pod/a", "condition=Ready");
    let said = case.exec("a", &["/bin/native", "hello"]).success();
    assert_eq!(said, "hello from native code\n");
}

fn attach(case: &Case) {
    let container = json!({"stdin": true, "stdinOnce": true});
    case.apply(&pod("a", &["cat"], container, json!({})));
    case.wait("pod/a", "condition=Ready");
    let said = case.kubectl().feed(&["attach", "--stdin", "a"], "hello\n");
    assert_eq!(said.success(), "hello\n");
    case.wait_for_phase("a", "Succeeded");
}
