//! kubelet and containerd go and come back; the pods stay.

use serde_json::json;

use crate::harness::{Case, pod};

shim_test::tests! {
    any: kubelet_restarts, containerd_restarts;
    wasm:
}

fn kubelet_restarts(case: &Case) {
    survive(case, || case.cluster.restart_kubelet());
}

fn containerd_restarts(case: &Case) {
    survive(case, || case.cluster.restart_containerd());
}

/// One pod runs on, one has ended meanwhile with its exit code, and new ones start.
fn survive(case: &Case, disturb: impl FnOnce()) {
    case.cluster.turns.alone(|| {
        let container = json!({"stdin": true, "stdinOnce": true});
        case.apply(&pod("stays", &["sleep"], json!({}), json!({})));
        case.apply(&pod("ends", &["nap", "30000"], container, json!({})));
        for name in ["stays", "ends"] {
            let started = "jsonpath={.status.containerStatuses[0].started}=true";
            case.wait(&format!("pod/{name}"), started);
        }
        let before = case.status("stays", "main");
        disturb();
        case.wait_for_phase("ends", "Succeeded");
        case.expect_end("ends", 0, "Completed");
        assert_eq!(case.logs("ends"), "ready\nwoke\n");
        case.apply(&pod("new", &["hello"], json!({}), json!({})));
        case.wait_for_phase("new", "Succeeded");
        let after = case.status("stays", "main");
        for field in ["containerID", "restartCount", "state"] {
            assert_eq!(before[field], after[field], "{after}");
        }
        let said = case.exec("stays", &["/guest", "hello"]).success();
        assert_eq!(said, "hello from the guest\n");
    });
}
