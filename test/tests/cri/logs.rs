//! Logs, which containerd writes and kubelet reads.

use std::fs;

use crate::harness::{Case, V4};

shim_test::tests! {
    any: log_lines, long_lines, reopened_log;
    wasm:
}

fn log_lines(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["both", "to stdout", "to  stderr "], |_| {});
    container.expect_end(0, "Completed");
    shim_test::wait::until_clean(std::time::Duration::from_secs(10), || {
        let count = container.log().lines().len();
        (count != 2).then(|| format!("a log of {count} lines"))
    });
    let mut lines = container.log().lines();
    // Two streams have no order between them.
    lines.sort_by(|one, other| other.stream.cmp(&one.stream));
    for (line, stream, text) in [
        (&lines[0], "stdout", "to stdout"),
        (&lines[1], "stderr", "to  stderr "),
    ] {
        assert_eq!((line.stream.as_str(), line.text.as_str()), (stream, text));
        assert!(line.full, "{line:?}");
        // Such as 2026-11-21T10:38:01.345280016Z.
        assert!(
            line.time.starts_with("20") && line.time.as_bytes()[10] == b'T',
            "{line:?}"
        );
    }
    pod.remove();
}

/// Lines of more than 16 KiB come in parts, and nothing of them is lost.
fn long_lines(case: &Case) {
    let pod = case.pod("a", |_| {});
    let text = "0123456789".repeat(4000);
    let container = pod.start("main", &["both", &text, "err"], |_| {});
    container.expect_end(0, "Completed");
    let stdout = || {
        let mut lines = container.log().lines();
        lines.retain(|line| line.stream == "stdout");
        lines
    };
    shim_test::wait::until_clean(std::time::Duration::from_secs(10), || {
        (!stdout().last().is_some_and(|line| line.full)).then(|| "no end of the line".into())
    });
    let parts = stdout();
    assert!(parts.len() >= 3, "{} parts", parts.len());
    let whole: String = parts.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(whole, text);
    pod.remove();
}

/// As kubelet rotates a log that is long.
fn reopened_log(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["talk"], |config| {
        (config.stdin, config.stdin_once) = (true, true);
    });
    let log = container.log();
    log.expect("ready\n");
    let mut client = container.attach(V4);
    client.send("before\n").expect("before\n");
    log.expect("ready\nbefore\n");
    let old = log.path.with_extension("old");
    fs::rename(&log.path, &old).expect("rename");
    container.reopen_log();
    client.send("after\n").expect("after\n");
    log.expect("after\n");
    let kept = fs::read_to_string(old).expect("the old log");
    assert!(kept.ends_with("before\n"), "{kept}");
    drop(client);
    container.expect_end(0, "Completed");
    pod.remove();
}
