//! From RunPodSandbox to RemovePodSandbox.

use std::time::{Duration, Instant};

use k8s_cri::v1::{ContainerState, PodSandboxState};
use shim_test::guest_image::{GUEST, NATIVE};
use shim_test::processes;

use crate::harness::Case;

shim_test::tests! {
    any: life, exit_codes, stop_in_time, stop_kills_after_the_grace, stop_of_a_pod, one_after_another, removed_while_running;
    wasm: wrong_program, trap
}

fn life(case: &Case) {
    let pod = case.pod("a", |_| {});
    assert_eq!(pod.status().state(), PodSandboxState::SandboxReady);
    let container = pod.create("main", &["sleep"], |_| {});
    let created = container.status();
    assert_eq!(created.state(), ContainerState::ContainerCreated);
    container.start().expect("StartContainer");
    container.log().expect("ready\n");
    let running = container.status();
    assert_eq!(running.state(), ContainerState::ContainerRunning);
    assert!(running.started_at >= created.created_at, "{running:?}");
    container.stop(30);
    let exited = container.status();
    assert_eq!(exited.state(), ContainerState::ContainerExited);
    container.remove();
    assert_eq!(pod.status().state(), PodSandboxState::SandboxReady);
    pod.stop();
    assert_eq!(pod.status().state(), PodSandboxState::SandboxNotready);
    pod.remove();
}

fn exit_codes(case: &Case) {
    let pod = case.pod("a", |_| {});
    let done = pod.start("done", &["hello"], |_| {});
    done.expect_end(0, "Completed");
    done.log().expect("hello from the guest\n");
    let failed = pod.start("failed", &["exit", "42"], |_| {});
    failed.expect_end(42, "Error");
    pod.remove();
}

fn trap(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["trap"], |_| {});
    container.expect_end(134, "Error");
    let said = container.log().text();
    assert!(said.contains("unreachable"), "{said}");
    pod.remove();
}

/// A guest without handlers ends at SIGTERM; runc's ignores it, being pid 1.
fn stop_in_time(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["pause"], |config| {
        config.command = vec![NATIVE.into()];
    });
    container.log().expect("ready\n");
    expect_stop(&container, 0..2);
    container.expect_end(0, "Completed");
    if shim_test::paths::runs_wasm() {
        let container = pod.start("wasm", &["sleep"], |_| {});
        container.log().expect("ready\n");
        expect_stop(&container, 0..2);
        container.expect_end(143, "Error");
    }
    pod.remove();
}

/// Stops with a grace of two seconds, and takes so many.
fn expect_stop(container: &crate::harness::Container<'_>, seconds: std::ops::Range<u64>) {
    let start = Instant::now();
    container.stop(2);
    let range = Duration::from_secs(seconds.start)..Duration::from_secs(seconds.end);
    let took = start.elapsed();
    assert!(range.contains(&took), "{took:?}");
}

fn stop_kills_after_the_grace(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |config| {
        config.command = vec![NATIVE.into()];
    });
    container.log().expect("ready\n");
    expect_stop(&container, 2..12);
    container.expect_end(137, "Error");
    pod.remove();
}

/// A pod's stop ends its containers and gives the network back.
fn stop_of_a_pod(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |_| {});
    container.log().expect("ready\n");
    assert!(
        pod.address().starts_with("10.213.78."),
        "{:?}",
        pod.status()
    );
    pod.stop();
    // As CRI wants it: more than one stop is no mistake.
    pod.stop();
    assert_eq!(container.status().state(), ContainerState::ContainerExited);
    assert_eq!(container.status().exit_code, 137);
    pod.remove();
}

/// Restarts: what ends is followed by another in the same pod and shim.
fn one_after_another(case: &Case) {
    let pod = case.pod("a", |_| {});
    let shim = processes::shim_of(&pod.id).expect("the pod's shim").pid;
    for attempt in 0..3 {
        let container = pod.start("main", &["exit", "3"], |config| {
            config.metadata.as_mut().expect("metadata").attempt = attempt;
        });
        container.expect_end(3, "Error");
        assert!(processes::shim_of(&container.id).is_none());
        container.remove();
    }
    assert_eq!(
        processes::shim_of(&pod.id).map(|found| found.pid),
        Some(shim)
    );
    pod.remove();
}

fn removed_while_running(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |_| {});
    container.log().expect("ready\n");
    container.remove();
    pod.remove();
}

/// What is wrong reaches who asks, and `kubectl describe` as the status does.
fn wrong_program(case: &Case) {
    let pod = case.pod("a", |_| {});
    let cases = [
        ("missing", "/no/such", "no such file"),
        ("component", "/broken/component", "component"),
        ("malformed", "/broken/malformed", "malformed"),
    ];
    for (name, program, sentence) in cases {
        let container = pod.create(name, &[], |config| config.command = vec![program.into()]);
        let error = container.start().expect_err(program);
        let said = error.message().to_lowercase();
        assert!(said.contains(program) && said.contains(sentence), "{said}");
        let status = container.expect_end(128, "StartError");
        assert!(status.message.contains(program), "{status:?}");
    }
    // The pod can still be used.
    pod.start("main", &[], |config| config.command = vec![GUEST.into()])
        .expect_end(0, "Completed");
    pod.remove();
}
