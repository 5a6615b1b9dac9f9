//! No more processes allowed.

use serde_json::json;
use shim_test::case::Case;
use shim_test::ctr;
use shim_test::guest_image::{GUEST, NATIVE};
use shim_test::run::Run;
use shim_test::sandbox;

use crate::bundles::{is_usable_again, run_of};

crate::tests! {
    any: ;
    wasm: pid_limit_reached, pid_limit_too_low, one_process_is_enough
}

fn limited<'a>(case: &'a Case, program: &str, limit: u32) -> Run<'a> {
    run_of(case, "a", &[program, "cat"], |spec| {
        spec["linux"]["resources"] = json!({"pids": {"limit": limit}});
    })
}

/// A process that is added is one too many: that fails with a sentence, and
/// the container goes on.
fn pid_limit_reached(case: &Case) {
    let mut live = limited(case, GUEST, 2).start();
    live.send("before\n").expect_line("before");
    for program in [GUEST, NATIVE] {
        let line = [
            "tasks",
            "exec",
            "--exec-id",
            "b",
            &live.id,
            program,
            "hello",
        ];
        let output = case.containerd.ctr.call(&line);
        assert_ne!(output.code, 0, "{}", output.describe());
        let text = output.stderr_text();
        assert!(text.contains("the limit of 2"), "{}", output.describe());
    }
    live.send("after\n").expect_line("after").close_stdin();
    live.finish(ctr::LIMIT).expect_code(0);
    is_usable_again(case, "a");
}

/// What makes the container of a native program is in its cgroup too.
fn pid_limit_too_low(case: &Case) {
    let output = limited(case, NATIVE, 1).output();
    assert_ne!(output.code, 0, "{}", output.describe());
    let text = output.stderr_text();
    assert!(text.contains("the limit of 1"), "{}", output.describe());
    is_usable_again(case, "a");
}

/// A module is one process, and so is what makes its container directly;
/// libcontainer needs more.
fn one_process_is_enough(case: &Case) {
    let code = i32::from(!sandbox::makes_directly());
    limited(case, GUEST, 1).output().expect_code(code);
}
