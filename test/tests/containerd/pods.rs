//! Containers of one pod share a shim.

use std::time::Duration;

use shim_test::case::Case;
use shim_test::guest_image::NATIVE;
use shim_test::task::Shim;
use shim_test::{processes, wait};

crate::tests! {
    any: pod_of_two, pod_outlives_a_container;
    wasm:
}

/// Starts a pause container and a guest as a pod, and checks that one shim
/// serves both. Returns the shim's pid.
fn start_pod(case: &Case) -> u32 {
    let (pod, app) = (case.id("pod"), case.id("app"));
    case.run("pod")
        .in_pod(&pod, "sandbox")
        .program(NATIVE, ["pause"])
        .detach();
    case.run("app")
        .in_pod(&pod, "container")
        .guest(["sleep"])
        .detach();
    let shim = Shim::of(&case.containerd, &pod);
    assert_eq!(shim.address, Shim::of(&case.containerd, &app).address);
    let pids = [shim.connect(&pod).shim_pid, shim.connect(&app).shim_pid];
    assert_eq!(pids[0], pids[1]);
    let named = |process: &processes::Process| {
        [&pod, &app]
            .iter()
            .any(|id| process.command_line.contains(*id))
    };
    let shims: Vec<_> = processes::shims(case.containerd.namespace())
        .into_iter()
        .filter(named)
        .collect();
    assert_eq!(shims.len(), 1, "{shims:?}");
    assert_eq!(shims[0].pid, pids[0]);
    pids[0]
}

fn pod_of_two(case: &Case) {
    let shim = start_pod(case);
    let (pod, app) = (case.id("pod"), case.id("app"));
    let ctr = &case.containerd.ctr;
    ctr.kill(&app, "SIGKILL").expect_code(0);
    assert_eq!(
        case.containerd
            .events()
            .wait(&app, "/tasks/exit")
            .number("exit_status"),
        137
    );
    ctr.delete_task(&app, 137);
    ctr.delete_container(&app).expect_code(0);
    ctr.kill(&pod, "SIGTERM").expect_code(0);
    assert_eq!(
        case.containerd
            .events()
            .wait(&pod, "/tasks/exit")
            .number("exit_status"),
        0
    );
    ctr.delete_task(&pod, 0);
    ctr.delete_container(&pod).expect_code(0);
    assert!(
        wait::process_ends(shim, Duration::from_secs(10)),
        "the shim outlives its pod"
    );
}

/// One container's end is not the pod's, and a new one may take its place.
fn pod_outlives_a_container(case: &Case) {
    let shim = start_pod(case);
    let (pod, app) = (case.id("pod"), case.id("app"));
    let ctr = &case.containerd.ctr;
    ctr.kill(&app, "SIGKILL").expect_code(0);
    case.containerd.events().wait(&app, "/tasks/exit");
    assert_eq!(ctr.status(&pod).expect("the pause container").1, "RUNNING");
    ctr.delete_task(&app, 137);
    ctr.delete_container(&app).expect_code(0);
    assert_eq!(ctr.status(&pod).expect("the pause container").1, "RUNNING");
    let output = case
        .run("next")
        .in_pod(&pod, "container")
        .guest(["hello"])
        .output();
    assert_eq!(output.success(), "hello from the guest\n");
    assert_eq!(
        Shim::of(&case.containerd, &pod).connect(&pod).shim_pid,
        shim
    );
    ctr.remove(&pod);
    assert!(
        wait::process_ends(shim, Duration::from_secs(10)),
        "the shim outlives its pod"
    );
}
