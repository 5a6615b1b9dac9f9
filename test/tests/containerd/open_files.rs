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
    // The working directory may have a preopen of its own.
    let known = ["/", "/inputs", ".", "/data"];
    assert!(
        names.iter().all(|name| known.contains(name)),
        "unknown descriptors: {output}"
    );
    assert!(
        ["/", "/inputs"].iter().all(|name| names.contains(name)),
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
    assert_eq!(
        open.len(),
        inside.lines().count(),
        "open: {open:?}, inside:\n{inside}"
    );
}
