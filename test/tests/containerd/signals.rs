//! Signals and what they make of the exit code.

use std::time::Duration;

use containerd_shim_protos::ttrpc::Code;
use shim_test::case::Case;
use shim_test::task::Shim;

crate::tests! {
    any: sigkill, sigkill_busy, kill_after_exit, kill_of_nobody, init_killed_from_outside;
    wasm: sigterm, sigint, sigterm_busy
}

const QUICK: Duration = Duration::from_secs(5);

/// Sends a signal to a sleeping guest, and returns what `ctr run` ended with.
fn signal_sleeper(case: &Case, signal: &str) -> i32 {
    let mut live = case.run("a").guest(["sleep"]).start();
    live.expect_line("ready");
    case.containerd.ctr.kill(&live.id, signal).expect_code(0);
    live.finish(QUICK).code
}

/// The same for a guest that computes and makes no call into the host.
fn signal_spinner(case: &Case, signal: &str) -> i32 {
    let live = case.run("a").guest(["spin"]).start();
    case.containerd.events().wait(&live.id, "/tasks/start");
    case.containerd.ctr.kill(&live.id, signal).expect_code(0);
    live.finish(QUICK).code
}

fn sigterm(case: &Case) {
    assert_eq!(signal_sleeper(case, "SIGTERM"), 128 + 15);
}

fn sigint(case: &Case) {
    assert_eq!(signal_sleeper(case, "SIGINT"), 128 + 2);
}

fn sigkill(case: &Case) {
    assert_eq!(signal_sleeper(case, "SIGKILL"), 128 + 9);
}

fn sigterm_busy(case: &Case) {
    assert_eq!(signal_spinner(case, "SIGTERM"), 128 + 15);
}

fn sigkill_busy(case: &Case) {
    assert_eq!(signal_spinner(case, "SIGKILL"), 128 + 9);
}

/// CRI's stop tolerates "not found" alone.
fn kill_after_exit(case: &Case) {
    let id = case.id("a");
    case.run("a").guest(["exit", "3"]).detach();
    case.containerd.events().wait(&id, "/tasks/exit");
    let refused = case.containerd.ctr.kill(&id, "SIGTERM");
    assert_ne!(refused.code, 0, "{}", refused.describe());
    assert!(
        refused.stderr_text().contains("not found"),
        "{}",
        refused.describe()
    );
    let (code, sentence) = Shim::of(&case.containerd, &id)
        .kill(&id, 15)
        .expect_err("nobody to kill");
    assert_eq!(code, Code::NOT_FOUND, "{sentence}");
    case.containerd.ctr.delete_task(&id, 3);
    case.containerd.ctr.delete_container(&id).expect_code(0);
}

fn kill_of_nobody(case: &Case) {
    let id = case.id("a");
    case.run("a").guest(["sleep"]).detach();
    let (code, sentence) = Shim::of(&case.containerd, &id)
        .kill("no-such-id", 15)
        .expect_err("nobody to kill");
    assert_eq!(code, Code::NOT_FOUND, "{sentence}");
    case.containerd.ctr.remove(&id);
}

/// What the kernel's OOM killer does.
fn init_killed_from_outside(case: &Case) {
    let mut live = case.run("a").guest(["sleep"]).start();
    live.expect_line("ready");
    let pid = case
        .containerd
        .events()
        .wait(&live.id, "/tasks/start")
        .number("pid");
    crate::suite::kill(pid);
    live.finish(QUICK).expect_code(137);
}
