//! README's "Install on Kubernetes": the node installer in a cluster.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use shim_test::{command, paths, processes};

use crate::harness::{Case, ReadyByHand, Systemd, job, pod, readme};

shim_test::tests! {
    any: ;
    wasm: installs_and_uninstalls
}

const MARK: &str = "<!-- run by test/tests/kubernetes/installer.rs -->";
const NAMESPACE: &str = "containerd-shim-wasm";
const LABEL: &str = "containerd-shim-wasm/installed";
const RELEASES: &str = "/opt/containerd-shim-wasm/releases/";

/// A node that knows nothing of the shim runs Wasm after one command, and knows
/// nothing of it after the others.
fn installs_and_uninstalls(case: &Case) {
    let [install, remove] = readme::blocks(MARK)
        .try_into()
        .expect("two marked blocks of README.md");
    case.cluster.turns.alone(|| {
        let by_hand = ReadyByHand::take_away(&case.cluster);
        let systemd = Systemd::of(&case.cluster);
        import_image(case);
        let before = by_hand.configuration();
        readme::run(case, &install).success();
        rolled_out(case, "wasm-node-installer");
        assert_eq!(label(case), "true");
        runs_wasm(case);
        readme::run(case, &remove).success();
        rolled_out(case, "wasm-node-uninstaller");
        assert_eq!(label(case), Value::Null);
        // Once for each.
        assert_eq!(systemd.finish(), 2);
        assert_eq!(by_hand.configuration(), before);
        assert!(!fs::exists(RELEASES).expect("the node's /opt"));
        readme::run(case, "kubectl delete -k deploy/uninstall/").success();
    });
}

fn import_image(case: &Case) {
    let archive = case.folder("installer").join("image.tar");
    let script = paths::workspace().join("deploy/image.sh");
    let mut command = Command::new(script);
    command.arg(&archive);
    command::output(command, shim_test::ctr::LIMIT * 3).success();
    case.cluster.ctr().import(&archive, ("linux", "amd64"));
}

/// Waits for the pod of a DaemonSet, and says what it logged if that does not come.
fn rolled_out(case: &Case, name: &str) {
    let set = format!("daemonset/{name}");
    let kubectl = case.cluster.kubectl(NAMESPACE);
    let output = kubectl.call(&["rollout", "status", &set, "--timeout=120s"]);
    assert_eq!(
        output.code,
        0,
        "{}\n{}\n{}",
        output.describe(),
        kubectl.call(&["describe", "pods"]).stdout_text(),
        kubectl.call(&["logs", &set]).describe()
    );
}

fn label(case: &Case) -> Value {
    case.kubectl().get("node/node")["metadata"]["labels"][LABEL].clone()
}

/// A Job, and a pod whose shim is the installed one.
fn runs_wasm(case: &Case) {
    let none = || json!({});
    case.apply(&job("a", &["hello"], none(), none()));
    case.wait("job/a", "condition=Complete");
    assert_eq!(case.logs("job/a"), "hello from the guest\n");
    case.apply(&pod("b", &["sleep"], none(), none()));
    case.wait("pod/b", "condition=Ready");
    let shims: Vec<_> = processes::all()
        .into_iter()
        .filter_map(|process| fs::read_link(format!("/proc/{}/exe", process.pid)).ok())
        .filter(|program| program.ends_with("containerd-shim-wasm-v1"))
        .collect();
    assert!(
        !shims.is_empty() && shims.iter().all(|shim| shim.starts_with(RELEASES)),
        "{shims:?}"
    );
    case.delete_all().success();
}
