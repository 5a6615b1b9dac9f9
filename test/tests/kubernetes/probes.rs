//! Probes, by a program and by TCP.

use serde_json::json;
use shim_test::{ctr, wait};

use crate::harness::{Case, pod};

shim_test::tests! {
    any: liveness, readiness;
    wasm: readiness_of_socket
}

/// A probe that fails has the container started again.
fn liveness(case: &Case) {
    let container = json!({
        "volumeMounts": [{"name": "state", "mountPath": "/state"}],
        "livenessProbe": {
            "exec": {"command": ["/guest", "read", "/state/alive"]},
            "periodSeconds": 1,
            "failureThreshold": 2,
            "timeoutSeconds": 10,
        },
    });
    let state = case.folder("state");
    std::fs::write(state.join("alive"), "yes").expect("the state");
    let spec = json!({
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 5,
        "volumes": [{"name": "state", "hostPath": {"path": state}}],
    });
    case.apply(&pod("a", &["sleep"], container, spec));
    case.wait("pod/a", "condition=Ready");
    assert_eq!(case.status("a", "main")["restartCount"], 0);
    std::fs::remove_file(state.join("alive")).expect("the state");
    case.wait(
        "pod/a",
        "jsonpath={.status.containerStatuses[0].restartCount}=1",
    );
    std::fs::write(state.join("alive"), "yes").expect("the state");
    case.wait(
        "pod/a",
        "jsonpath={.status.containerStatuses[0].ready}=true",
    );
    let status = case.status("a", "main");
    // Ended by SIGTERM, within its grace.
    assert_eq!(
        status["lastState"]["terminated"]["exitCode"], 143,
        "{status}"
    );
}

fn readiness(case: &Case) {
    let container = json!({
        "volumeMounts": [{"name": "state", "mountPath": "/state"}],
        "readinessProbe": {
            "exec": {"command": ["/guest", "read", "/state/ready"]},
            "periodSeconds": 1,
            "timeoutSeconds": 10,
        },
    });
    let state = case.folder("state");
    let spec = json!({"volumes": [{"name": "state", "hostPath": {"path": state}}]});
    case.apply(&pod("a", &["sleep"], container, spec));
    case.wait_for_phase("a", "Running");
    case.wait("pod/a", "condition=Ready=false");
    std::fs::write(state.join("ready"), "yes").expect("the state");
    case.wait("pod/a", "condition=Ready");
    std::fs::remove_file(state.join("ready")).expect("the state");
    case.wait("pod/a", "condition=Ready=false");
    assert_eq!(case.status("a", "main")["restartCount"], 0);
}

/// kubelet connects to the guest.
fn readiness_of_socket(case: &Case) {
    let probe = |port: u16| json!({"tcpSocket": {"port": port}, "periodSeconds": 1});
    for (name, port, ready) in [("a", 8080, "Ready"), ("b", 8081, "Ready=false")] {
        let container = json!({
            "command": ["/bin/socket"],
            "readinessProbe": probe(port),
        });
        case.apply(&pod(
            name,
            &["answer", "0.0.0.0:8080"],
            container,
            json!({}),
        ));
        case.wait_for_phase(name, "Running");
        case.wait(&format!("pod/{name}"), &format!("condition={ready}"));
    }
    wait::until_clean(ctr::LIMIT, || {
        let events = case.kubectl().call(&["get", "events"]).success();
        let refused = events.contains("10.213.78.") && events.contains(":8081: connect");
        (!refused).then(|| format!("no event of the probe that was refused:\n{events}"))
    });
}
