//! ExecSync, which is what probes are.

use std::time::{Duration, Instant};

use shim_test::cgroup;
use shim_test::guest_image::{GUEST, NATIVE};
use tonic::Code;

use crate::harness::Case;

shim_test::tests! {
    any: exec_sync, exec_sync_native, exec_sync_not_found, exec_sync_in_time, many_probes;
    wasm:
}

fn exec_sync(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |_| {});
    let answer = container.exec_sync(&[GUEST, "both", "out", "err"], 10);
    let answer = answer.expect("ExecSync");
    assert_eq!(answer.stdout, b"out\n");
    assert_eq!(answer.stderr, b"err\n");
    assert_eq!(answer.exit_code, 0);
    let failed = container.exec_sync(&[GUEST, "exit", "7"], 10);
    assert_eq!(failed.expect("ExecSync").exit_code, 7);
    pod.remove();
}

fn exec_sync_native(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |_| {});
    assert_eq!(container.run(&[NATIVE]), "hello from native code\n");
    let failed = container.exec_sync(&[NATIVE, "exit", "9"], 10);
    assert_eq!(failed.expect("ExecSync").exit_code, 9);
    pod.remove();
}

fn exec_sync_not_found(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |_| {});
    let error = container
        .exec_sync(&["/no/such"], 10)
        .expect_err("/no/such");
    assert!(error.message().contains("/no/such"), "{error}");
    assert_eq!(container.run(&[NATIVE]), "hello from native code\n");
    pod.remove();
}

/// A probe that hangs is ended in time; the container lives.
fn exec_sync_in_time(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |_| {});
    container.log().expect("ready\n");
    for program in [GUEST, NATIVE] {
        let start = Instant::now();
        let error = container
            .exec_sync(&[program, "sleep"], 1)
            .expect_err("too late");
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:?}",
            start.elapsed()
        );
        let members = cgroup::value(&container.cgroup(), &["pids.current"]);
        assert_eq!(members.as_deref(), Some("1"), "{program}");
    }
    assert_eq!(container.run(&[NATIVE]), "hello from native code\n");
    pod.remove();
}

/// Probes come for as long as a pod lives: nothing of them stays.
fn many_probes(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |_| {});
    let shim = shim_test::processes::shim_of(&pod.id)
        .expect("the pod's shim")
        .pid;
    let open = || shim_test::processes::descriptors(shim).len();
    container.run(&[GUEST, "hello"]);
    let before = open();
    for _ in 0..20 {
        assert_eq!(container.run(&[GUEST, "hello"]), "hello from the guest\n");
    }
    shim_test::wait::until_clean(Duration::from_secs(5), || {
        let now = open();
        // One of each probe would be 20; Go's runtime, in runc's shim, opens one at times.
        (now > before + 5).then(|| format!("{now} open files in the shim, of {before}"))
    });
    pod.remove();
}
