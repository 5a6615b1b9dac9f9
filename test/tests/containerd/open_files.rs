//! What a guest holds open, from the inside and from the outside.

use std::fs;
use std::time::Duration;

use shim_test::case::Case;
use shim_test::processes;

crate::tests! {
    any:;
    wasm: open_inside, open_outside
}

fn open_inside(case: &Case) {
    let inputs = case.folder("inputs");
    let output = case
        .run("a")
        .mount(&inputs, "/inputs", "rbind:ro")
        .guest(["fds"])
        .output()
        .success();
    let mut lines = output.lines();
    for fd in 0..3 {
        assert_eq!(lines.next(), Some(format!("fd {fd}").as_str()), "{output}");
    }
    let names: Vec<&str> = lines
        .map(|line| line.splitn(3, ' ').nth(2).unwrap_or(""))
        .collect();
    // Where the working directory is not the root, it and each folder at the
    // root have preopens of their own.
    let known = |name: &&str| !name.trim_start_matches('/').contains('/');
    assert!(names.iter().all(known), "unknown descriptors: {output}");
    assert!(
        names.contains(&"/")
            && names
                .iter()
                .any(|name| name.trim_start_matches('/') == "inputs"),
        "preopens are missing: {output}"
    );
}

/// No execve closes what the runtime forgot: only the three streams and
/// folders that the guest was given may be open.
fn open_outside(case: &Case) {
    let inputs = case.folder("inputs");
    let inside = case
        .run("a")
        .mount(&inputs, "/inputs", "rbind:ro")
        .guest(["fds"])
        .output()
        .success();
    let mut live = case
        .run("b")
        .mount(&inputs, "/inputs", "rbind:ro")
        .guest(["sleep"])
        .start();
    live.expect_line("ready");
    let pid = case
        .containerd
        .events()
        .wait(&live.id, "/tasks/start")
        .number("pid");
    let open = processes::descriptors(pid);
    let folders = open.iter().filter(|(fd, _)| {
        fs::metadata(processes::proc(pid).join(format!("fd/{fd}"))).is_ok_and(|file| file.is_dir())
    });
    let folders = folders.count();
    case.containerd.ctr.kill(&live.id, "SIGKILL").expect_code(0);
    live.finish(Duration::from_secs(20)).expect_code(137);
    assert_eq!(
        folders,
        inside.lines().count() - 3,
        "folders: {open:?}, inside:\n{inside}"
    );
    // WasmEdge waits for time to pass with descriptors of its own, which
    // WASI's numbers do not reach.
    let waiting = ["anon_inode:[eventpoll]", "anon_inode:[timerfd]"];
    let others = open
        .iter()
        .filter(|(_, target)| !waiting.iter().any(|name| target.as_os_str() == *name));
    assert_eq!(
        others.count(),
        inside.lines().count(),
        "open: {open:?}, inside:\n{inside}"
    );
}
