//! Exec and Attach with streams, as `kubectl exec` and `attach`.

use std::time::Duration;

use shim_test::guest_image::{GUEST, NATIVE};
use shim_test::{cgroup, wait};

use crate::harness::{Case, V4};

shim_test::tests! {
    any: exec_streams, exec_code, exec_in_terminal, exec_ends_with_its_client, attach, attach_to_terminal;
    wasm:
}

fn exec_streams(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |_| {});
    let ended = container
        .exec(&[GUEST, "both", "out", "err"], false, V4)
        .end();
    assert_eq!(
        (ended.stdout.as_str(), ended.stderr.as_str()),
        ("out\n", "err\n")
    );
    assert_eq!(ended.code(), 0);
    let mut talk = container.exec(&[GUEST, "talk"], false, V4);
    talk.expect("ready\n")
        .send("one\n")
        .expect("one\n")
        .send("two\n")
        .expect("two\n");
    pod.remove();
}

fn exec_code(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |_| {});
    for program in [GUEST, NATIVE] {
        let ended = container.exec(&[program, "exit", "42"], false, V4).end();
        assert_eq!(ended.code(), 42, "{program}");
    }
    pod.remove();
}

fn exec_in_terminal(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |_| {});
    let mut talk = container.exec(&[GUEST, "talk"], true, V4);
    // The terminal's echo, and then what the guest says.
    talk.expect("ready\r\n").resize(100, 30).send("typed\r");
    talk.expect("typed\r\ntyped\r\n").send("\x04");
    let ended = talk.end();
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    pod.remove();
}

/// Nothing is left of a program whose client went: its input has ended.
fn exec_ends_with_its_client(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |_| {});
    let mut talk = container.exec(&[GUEST, "talk"], false, V4);
    talk.expect("ready\n").send("one\n").expect("one\n");
    let members = || cgroup::value(&container.cgroup(), &["pids.current"]);
    assert_eq!(members().as_deref(), Some("2"));
    drop(talk);
    wait::until_clean(Duration::from_secs(10), || {
        let members = members();
        (members.as_deref() != Some("1")).then(|| format!("{members:?} processes"))
    });
    pod.remove();
}

/// With `stdinOnce` the first client's end is the input's end.
fn attach(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["talk"], |config| {
        (config.stdin, config.stdin_once) = (true, true);
    });
    container.log().expect("ready\n");
    let mut client = container.attach(V4);
    client.send("from afar\n").expect("from afar\n");
    drop(client);
    container.expect_end(0, "Completed");
    container.log().expect("ready\nfrom afar\n");
    pod.remove();
}

fn attach_to_terminal(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["talk"], |config| {
        (config.stdin, config.tty) = (true, true);
    });
    // containerd drops the \r of a terminal's lines.
    container.log().expect("ready\n");
    let mut client = container.attach(V4);
    client
        .resize(100, 30)
        .send("typed\r")
        .expect("typed\r\ntyped\r\n");
    client.send("\x04");
    client.end();
    container.expect_end(0, "Completed");
    pod.remove();
}
