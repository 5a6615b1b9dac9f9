//! Pods of several containers, and what confines them.

use serde_json::json;
use shim_test::guest_image::{NAME, NATIVE};

use crate::harness::{Case, pod};

shim_test::tests! {
    any: init_container, sidecar, native_sidecar, restricted, not_root;
    wasm: read_only_root
}

fn init_container(case: &Case) {
    let mount = |path: &str| json!([{"name": "data", "mountPath": path}]);
    let spec = json!({
        "volumes": [{"name": "data", "emptyDir": {}}],
        "initContainers": [{
            "name": "fill",
            "image": NAME,
            "imagePullPolicy": "Never",
            "args": ["write", "/outputs/names", "filled"],
            "volumeMounts": mount("/outputs"),
        }],
    });
    let container = json!({"volumeMounts": mount("/inputs")});
    case.apply(&pod("a", &["read", "/inputs/names"], container, spec));
    case.wait_for_phase("a", "Succeeded");
    assert_eq!(case.logs("a"), "filled");
    let fill = case.status("a", "fill");
    assert_eq!(fill["state"]["terminated"]["reason"], "Completed", "{fill}");
}

/// One that Kubernetes starts before the program, and ends after it.
fn sidecar(case: &Case) {
    let spec = json!({"initContainers": [{
        "name": "beside",
        "image": NAME,
        "imagePullPolicy": "Never",
        "args": ["sleep"],
        "restartPolicy": "Always",
    }]});
    case.apply(&pod("a", &["hello"], json!({}), spec));
    case.wait_for_phase("a", "Succeeded");
    assert_eq!(case.logs("a"), "hello from the guest\n");
    let beside = case.status("a", "beside");
    assert_eq!(beside["state"]["terminated"]["exitCode"], 143, "{beside}");
}

/// A native program beside the guest.
fn native_sidecar(case: &Case) {
    let spec = json!({"initContainers": [{
        "name": "beside",
        "image": NAME,
        "imagePullPolicy": "Never",
        "command": [NATIVE, "pause"],
        "restartPolicy": "Always",
    }]});
    case.apply(&pod("a", &["hello"], json!({}), spec));
    case.wait_for_phase("a", "Succeeded");
    assert_eq!(case.logs("a"), "hello from the guest\n");
    let beside = case.status("a", "beside");
    assert_eq!(beside["state"]["terminated"]["exitCode"], 0, "{beside}");
}

/// What the standard `restricted` asks for, in a namespace that enforces it; the
/// native program says what it has of it.
fn restricted(case: &Case) {
    let label = "pod-security.kubernetes.io/enforce=restricted";
    let namespace = format!("namespace/{}", case.namespace());
    case.kubectl().call(&["label", &namespace, label]).success();
    let security = json!({
        "runAsNonRoot": true,
        "runAsUser": 1234,
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    let native = json!({"command": [NATIVE], "securityContext": security});
    case.apply(&pod("native", &["id"], native, json!({})));
    let guest = json!({"securityContext": security});
    case.apply(&pod("guest", &["hello"], guest, json!({})));
    for name in ["native", "guest"] {
        case.wait_for_phase(name, "Succeeded");
    }
    assert_eq!(case.logs("guest"), "hello from the guest\n");
    let said = case.logs("native");
    let none = format!("CapEff:\t{:016x}", 0);
    let bounding = format!("CapBnd:\t{:016x}", 0);
    for line in [
        "uid=1234",
        &none,
        &bounding,
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(
            said.lines().any(|found| found == line),
            "no {line} in {said}"
        );
    }
}

/// An image whose user is root is refused.
fn not_root(case: &Case) {
    let container = json!({"securityContext": {"runAsNonRoot": true}});
    case.apply(&pod("a", &["hello"], container, json!({})));
    let reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
    case.wait("pod/a", &format!("{reason}=CreateContainerConfigError"));
}

/// Written to is only what is mounted.
fn read_only_root(case: &Case) {
    let security = json!({"readOnlyRootFilesystem": true});
    let mounts = json!([{"name": "out", "mountPath": "/tmp"}]);
    let container = json!({"securityContext": security, "volumeMounts": mounts});
    let spec = json!({"volumes": [{"name": "out", "emptyDir": {}}]});
    case.apply(&pod(
        "a",
        &["write", "/data/new", "text"],
        container.clone(),
        spec.clone(),
    ));
    case.apply(&pod("b", &["write", "/tmp/new", "text"], container, spec));
    case.wait_for_phase("b", "Succeeded");
    case.wait_for_phase("a", "Failed");
    case.expect_end("a", 1, "Error");
    assert!(
        case.logs("a").contains("Read-only file system"),
        "{}",
        case.logs("a")
    );
}
