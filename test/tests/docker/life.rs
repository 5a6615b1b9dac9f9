//! Containers that stay: their logs, signals and ends.

use std::fs;
use std::time::{Duration, Instant};

use shim_test::docker::{Case, LIMIT};
use shim_test::wait;

shim_test::tests! {
    any: detached_logs, stop_of_native, kill, kill_with_signal, pause, wait_for_the_end, restart_on_failure,
        restart_by_hand, copy_into, attach;
    wasm: stop_is_fast
}

/// `docker logs --follow` shows what comes, and ends with the container.
fn detached_logs(case: &Case) {
    let name = case.detach(&["--interactive"], &["talk"]);
    let mut logs = case.follow(&["logs", "--follow", &name]);
    logs.expect_line("ready");
    let mut client = case.follow(&["attach", &name]);
    client.send("one\n");
    logs.expect_line("one");
    case.call(&["kill", &name]).success();
    logs.finish(LIMIT).expect_code(0);
    // The exit code is the program's.
    client.finish(LIMIT).expect_code(137);
    assert_eq!(case.call(&["logs", &name]).success(), "ready\none\n");
    case.remove(&name);
}

/// Clients that come and go: the input of a detached container stays open.
fn attach(case: &Case) {
    let name = case.detach(&["--interactive"], &["talk"]);
    for text in ["one", "two"] {
        let mut client = case.follow(&["attach", &name]);
        client.send(&format!("{text}\n"));
        client.expect_line(text).close_stdin();
    }
    case.remove(&name);
}

/// The guest handles no signal and only waits: it does not use up the 10 s.
fn stop_is_fast(case: &Case) {
    let name = case.detach(&[], &["sleep"]);
    let begin = Instant::now();
    case.call(&["stop", &name]).success();
    let taken = begin.elapsed();
    assert!(taken < Duration::from_secs(1), "{taken:?}");
    assert_eq!(case.inspect(&name, ".State.ExitCode"), "143");
    case.remove(&name);
}

fn stop_of_native(case: &Case) {
    let name = case.detach(&["--entrypoint", "/bin/native"], &["pause"]);
    case.follow(&["logs", "--follow", &name])
        .expect_line("ready");
    case.call(&["stop", &name]).success();
    assert_eq!(case.inspect(&name, ".State.ExitCode"), "0");
    case.remove(&name);
}

fn kill(case: &Case) {
    let name = case.detach(&[], &["sleep"]);
    case.call(&["kill", &name]).success();
    assert_eq!(case.call(&["wait", &name]).success(), "137\n");
    let again = case.call(&["kill", &name]);
    assert!(
        again.stderr_text().contains("is not running"),
        "{}",
        again.describe()
    );
    case.remove(&name);
}

fn kill_with_signal(case: &Case) {
    let name = case.detach(&["--entrypoint", "/bin/native"], &["pause"]);
    case.follow(&["logs", "--follow", &name])
        .expect_line("ready");
    case.call(&["kill", "--signal", "INT", &name]).success();
    assert_eq!(case.call(&["wait", &name]).success(), "0\n");
    case.remove(&name);
}

fn pause(case: &Case) {
    let mut live = case.start(&["--interactive"], &["talk"]);
    live.expect_line("ready");
    let name = case.name("a");
    case.call(&["pause", &name]).success();
    assert_eq!(case.inspect(&name, ".State.Status"), "paused");
    live.send("while paused\n");
    live.expect_silence(Duration::from_millis(200));
    let refused = case.call(&["exec", &name, "/guest", "hello"]);
    assert!(
        refused.stderr_text().contains("paused"),
        "{}",
        refused.describe()
    );
    case.call(&["unpause", &name]).success();
    live.expect_line("while paused");
    live.close_stdin();
    live.finish(LIMIT).expect_code(0);
}

fn wait_for_the_end(case: &Case) {
    let name = case.detach(&["--interactive"], &["talk"]);
    let waiter = case.follow(&["wait", &name]);
    case.call(&["kill", &name]).success();
    assert_eq!(waiter.finish(LIMIT).success(), "137");
    case.remove(&name);
}

/// Three starts, as the first is no restart.
fn restart_on_failure(case: &Case) {
    let name = case.detach(&["--restart", "on-failure:2"], &["exit", "3"]);
    let filter = format!("container={name}");
    let line = [
        "events",
        "--since",
        "1",
        "--filter",
        &filter,
        "--filter",
        "event=die",
    ];
    let format = ["--format", "{{.Actor.Attributes.exitCode}}"];
    let mut deaths = case.follow(&[&line[..], &format].concat());
    deaths.expect_line("3").expect_line("3").expect_line("3");
    // The event comes before the state.
    wait::until_clean(LIMIT, || {
        let status = case.inspect(&name, ".State.Status");
        (status != "exited").then(|| format!("a container that is {status}"))
    });
    assert_eq!(case.inspect(&name, ".RestartCount"), "2");
    case.remove(&name);
}

fn restart_by_hand(case: &Case) {
    let name = case.detach(&[], &["sleep"]);
    case.call(&["restart", "--time", "1", &name]).success();
    assert_eq!(case.inspect(&name, ".State.Running"), "true");
    case.call(&["kill", &name]).success();
    case.call(&["start", &name]).success();
    assert_eq!(case.inspect(&name, ".State.Running"), "true");
    case.remove(&name);
}

/// Into a running container, whose program sees the file.
fn copy_into(case: &Case) {
    let name = case.detach(&[], &["sleep"]);
    let file = case.folder("files").join("copied");
    fs::write(&file, "copied in\n").expect("a file");
    let target = format!("{name}:/data/copied");
    case.call(&["cp", &file.to_string_lossy(), &target])
        .success();
    let read = case.call(&["exec", &name, "/guest", "read", "/data/copied"]);
    assert_eq!(read.success(), "copied in\n");
    case.remove(&name);
}
