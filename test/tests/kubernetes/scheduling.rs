//! Where pods of the class may run that the node installer comes with.

use serde_json::json;
use shim_test::paths;

use crate::harness::{Case, pod};

shim_test::tests! {
    any: ;
    wasm: scheduling
}

/// What the installer puts on a node.
const LABEL: &str = "containerd-shim-wasm/installed";

/// Pending with the reason, until a node has the label of the class.
fn scheduling(case: &Case) {
    let deploy = paths::workspace().join("deploy").display().to_string();
    let rendered = case.kubectl().call(&["kustomize", &deploy]).success();
    let mut documents = rendered.split("\n---\n");
    let class = documents.find(|document| document.contains("\nkind: RuntimeClass\n"));
    // The other tests have the name.
    let class = class.expect("a RuntimeClass in deploy/");
    let class = class.replace("\n  name: wasm\n", "\n  name: labelled\n");
    case.kubectl()
        .feed(&["apply", "--filename=-"], &class)
        .success();
    let spec = json!({"runtimeClassName": "labelled"});
    case.apply(&pod("a", &["hello"], json!({}), spec));
    case.wait("pod/a", "condition=PodScheduled=false");
    let found = case.kubectl().get("pod/a");
    assert_eq!(found["status"]["phase"], "Pending");
    assert!(found["spec"]["overhead"]["memory"].is_string(), "{found}");
    let message = found["status"]["conditions"][0]["message"].as_str();
    let message = message.expect("a reason");
    assert!(
        message.contains("didn't match Pod's node affinity/selector"),
        "{message}"
    );
    let label = |change: &str| {
        let args = ["label", "node/node", &format!("{LABEL}{change}")];
        case.kubectl().call(&args).success();
    };
    label("=true");
    case.wait_for_phase("a", "Succeeded");
    label("-");
    case.kubectl()
        .call(&["delete", "runtimeclass/labelled"])
        .success();
}
