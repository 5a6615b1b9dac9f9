//! What a violent end leaves.

use std::time::Duration;

use shim_test::case::Case;
use shim_test::guest_image::NATIVE;
use shim_test::task::Shim;
use shim_test::{leak, processes, wait};

crate::tests! {
    any: killed_shim, killed_shim_of_a_pod, killed_client;
    wasm: killed_zygote
}

const LIMIT: Duration = Duration::from_secs(20);

/// `kill -9` of the shim: containerd has `delete` of the shim's binary clear
/// up, says the task ended, and the id is free.
fn killed_shim(case: &Case) {
    let id = case.id("a");
    let init = case.run("a").guest(["sleep"]).detach();
    let shim = Shim::of(&case.containerd, &id).connect(&id).shim_pid;
    crate::suite::kill(shim);
    assert!(
        wait::process_ends(init, LIMIT),
        "the guest outlives its shim"
    );
    case.containerd.events().wait(&id, "/tasks/exit");
    case.containerd.events().wait(&id, "/tasks/delete");
    leak::assert_no_trace(case.containerd.namespace(), &id);
    case.containerd.ctr.delete_container(&id).expect_code(0);
    assert_eq!(
        case.run("a").guest(["hello"]).output().success(),
        "hello from the guest\n"
    );
}

fn killed_shim_of_a_pod(case: &Case) {
    let (pod, app) = (case.id("pod"), case.id("app"));
    let inits = [
        case.run("pod")
            .in_pod(&pod, "sandbox")
            .program(NATIVE, ["pause"])
            .detach(),
        case.run("app")
            .in_pod(&pod, "container")
            .guest(["sleep"])
            .detach(),
    ];
    crate::suite::kill(Shim::of(&case.containerd, &pod).connect(&pod).shim_pid);
    for (id, init) in [&pod, &app].into_iter().zip(inits) {
        assert!(wait::process_ends(init, LIMIT), "{id} outlives its shim");
        case.containerd.events().wait(id, "/tasks/exit");
        case.containerd.events().wait(id, "/tasks/delete");
        leak::assert_no_trace(case.containerd.namespace(), id);
        case.containerd.ctr.delete_container(id).expect_code(0);
    }
}

/// Nobody reads the output any more: the guest can still be ended.
fn killed_client(case: &Case) {
    let mut live = case.run("a").guest(["sleep"]).start();
    live.expect_line("ready");
    let id = live.id.clone();
    // Dropping it kills `ctr`, which has no chance to say goodbye.
    drop(live);
    let ctr = &case.containerd.ctr;
    assert_eq!(ctr.status(&id).expect("the task").1, "RUNNING");
    ctr.kill(&id, "SIGKILL").expect_code(0);
    assert_eq!(
        case.containerd
            .events()
            .wait(&id, "/tasks/exit")
            .number("exit_status"),
        137
    );
    ctr.delete_task(&id, 137);
    ctr.delete_container(&id).expect_code(0);
}

/// A container outlives the zygote that made it; how it ends is told all the
/// same, and the pod's next container has a new zygote.
fn killed_zygote(case: &Case) {
    let pod = case.id("pod");
    let init = case
        .run("pod")
        .in_pod(&pod, "sandbox")
        .guest(["sleep"])
        .detach();
    let shim = Shim::of(&case.containerd, &pod).connect(&pod).shim_pid;
    let zygote = processes::parent(init).expect("the guest's parent");
    assert_eq!(processes::name(zygote).as_deref(), Some("wasm-zygote"));
    crate::suite::kill(zygote);
    assert!(wait::process_ends(zygote, LIMIT));
    assert!(processes::exists(init), "the guest was not kept");
    assert_eq!(
        case.run("app")
            .in_pod(&pod, "container")
            .guest(["hello"])
            .output()
            .success(),
        "hello from the guest\n"
    );
    case.containerd.ctr.kill(&pod, "SIGTERM").expect_code(0);
    let exit = case.containerd.events().wait(&pod, "/tasks/exit");
    assert_eq!(exit.number("exit_status"), 143);
    case.containerd.ctr.delete_task(&pod, 143);
    case.containerd.ctr.delete_container(&pod).expect_code(0);
    assert!(wait::process_ends(shim, LIMIT), "the shim outlives its pod");
}
