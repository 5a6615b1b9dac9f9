//! How pods end, many at once, and what happens under them.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use shim_test::{processes, wait};

use crate::harness::{Case, pod};

shim_test::tests! {
    any: deleted_in_time, deleted_by_force_after_grace, fifty_pods;
    wasm: shim_killed
}

/// kubelet does it once a minute.
const COLLECTION_LIMIT: Duration = Duration::from_secs(150);

/// A guest that sleeps ends at SIGTERM, long before its grace is over.
fn deleted_in_time(case: &Case) {
    let spec = json!({"terminationGracePeriodSeconds": 100});
    case.apply(&pod("a", &["sleep"], json!({}), spec.clone()));
    case.apply(&pod("b", &["spin"], json!({}), spec));
    for name in ["a", "b"] {
        case.wait(&format!("pod/{name}"), "condition=Ready");
    }
    let started = Instant::now();
    let delete = ["delete", "pod/a", "pod/b", "--timeout=90s"];
    case.kubectl().call(&delete).success();
    assert!(started.elapsed() < Duration::from_secs(60));
}

/// A native program that ignores SIGTERM ends with its grace.
fn deleted_by_force_after_grace(case: &Case) {
    let container = json!({"command": [shim_test::guest_image::NATIVE]});
    let spec = json!({"terminationGracePeriodSeconds": 3});
    case.apply(&pod("a", &["sleep"], container, spec));
    case.wait("pod/a", "condition=Ready");
    let started = Instant::now();
    case.kubectl()
        .call(&["delete", "pod/a", "--timeout=60s"])
        .success();
    assert!(started.elapsed() >= Duration::from_secs(3));
}

/// A pod whose shim is killed is made anew, and can be deleted like any other. (runc
/// keeps a folder of the one that was.)
fn shim_killed(case: &Case) {
    let always = json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 5});
    case.apply(&pod("a", &["sleep"], json!({}), always));
    case.wait("pod/a", "condition=Ready");
    let status = case.status("a", "main");
    let id = status["containerID"].as_str().expect("an id");
    let id = id.trim_start_matches("containerd://");
    let info = case.cluster.ctr().call(&["containers", "info", id]);
    let info: Value = serde_json::from_str(&info.success()).expect("JSON of ctr");
    let sandbox = &info["Spec"]["annotations"]["io.kubernetes.cri.sandbox-id"];
    let sandbox = sandbox.as_str().expect("an id");
    let its = format!(" -id {sandbox} ");
    let shims: Vec<_> = processes::all()
        .into_iter()
        .filter(|process| process.command_line.contains(&its))
        .collect();
    let [shim] = &shims[..] else {
        panic!("one shim of the pod: {shims:?}");
    };
    let pid = i32::try_from(shim.pid).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a pid"), Signal::KILL).expect("the shim");
    let restarts = "jsonpath={.status.containerStatuses[0].restartCount}=1";
    case.wait("pod/a", restarts);
    case.wait("pod/a", "condition=Ready");
    let said = case.exec("a", &["/guest", "hello"]).success();
    assert_eq!(said, "hello from the guest\n");
    let delete = ["delete", "pod/a", "--timeout=25s"];
    case.kubectl().call(&delete).success();
    // With containerd 2.x a mount of the dead sandbox stays, with any runtime, until
    // kubelet removes what is left of pods that are gone.
    wait::until_clean(COLLECTION_LIMIT, || {
        let list = ["containers", "list", "--quiet"];
        let found = case.cluster.ctr().call(&list).success();
        found
            .contains(sandbox)
            .then(|| format!("the dead sandbox is in {found}"))
    });
}

fn fifty_pods(case: &Case) {
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "many"},
        "spec": {
            "replicas": 50,
            "selector": {"matchLabels": {"app": "many"}},
            "template": {
                "metadata": {"labels": {"app": "many"}},
                "spec": crate::harness::pod_spec(&["sleep"], json!({}), json!({"restartPolicy": "Always"})),
            },
        },
    });
    let started = Instant::now();
    case.apply(&deployment);
    let rollout = ["rollout", "status", "deployment/many", "--timeout=140s"];
    case.kubectl().call(&rollout).success();
    println!("50 pods ready after {:?}", started.elapsed());
    let pods = case.kubectl().get("pods");
    let restarts = pods["items"].as_array().expect("pods").iter();
    assert!(
        restarts
            .map(|pod| &pod["status"]["containerStatuses"][0]["restartCount"])
            .all(|count| *count == 0)
    );
}
