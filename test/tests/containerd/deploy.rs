//! The files in `deploy/` and `docs/operations.md`, and the node's label.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use shim_test::command::{self, Output};
use shim_test::kubernetes_api::Api;
use shim_test::node::{CONFIG, INSTALLER, Node};
use shim_test::{paths, versions};

use crate::suite::Once;

pub const ONCE: &[Once] = &[
    ("label", label),
    ("manifests", manifests),
    ("kustomize", kustomize),
    ("operations_lists_all_keys", operations_lists_all_keys),
];

const LABEL: &str = "containerd-shim-wasm/installed";

/// The label is set after installing, and taken away before uninstalling, by one
/// request of the pod's service account; what the API has against it is told.
fn label(folder: &Path) {
    let api_folder = folder.join("api");
    fs::create_dir_all(&api_folder).expect("a folder of this test");
    let api = Api::start(&api_folder);
    let node = Node::new(&versions::newest(), &folder.join("node"));
    node.write(CONFIG, node.default_config());
    let account = "/run/secrets/kubernetes.io/serviceaccount";
    let authority = fs::read(api_folder.join("ca.crt")).expect("made by openssl");
    node.write(&format!("{account}/ca.crt"), &authority);
    node.write(&format!("{account}/token"), "secret\n");
    let run = |action: &str| -> Output {
        let mut command = node.command(paths::shim_tree().join(INSTALLER));
        command.arg(action).env("NODE_NAME", "node-a");
        command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1");
        command.env("KUBERNETES_SERVICE_PORT", &api.port);
        command::output(command, Duration::from_secs(60))
    };
    assert!(
        run("install")
            .success()
            .ends_with(&format!("installed\nlabel {LABEL} is set\n"))
    );
    let request = |value: Value| {
        json!({
            "path": "/api/v1/nodes/node-a",
            "token": "Bearer secret",
            "type": "application/merge-patch+json",
            "body": {"metadata": {"labels": {LABEL: value}}},
        })
    };
    assert_eq!(api.requests(), [request("true".into())]);
    api.answer(
        403,
        r#"{"kind": "Status", "message": "nodes \"node-a\" is forbidden"}"#,
    );
    let refused = run("uninstall");
    refused.expect_code(1);
    let says = "the label of node node-a: 403 Forbidden nodes \"node-a\" is forbidden";
    assert!(
        refused.stderr_text().contains(says),
        "{}",
        refused.describe()
    );
    assert!(
        node.path("/opt/containerd-shim-wasm").exists(),
        "pods may still come"
    );
    api.answer(200, "{}");
    assert!(
        run("uninstall")
            .success()
            .starts_with(&format!("label {LABEL} is gone\n"))
    );
    assert_eq!(api.requests().last(), Some(&request(Value::Null)));
    // Somebody else's server gets no token.
    let other = Api::start(&api_folder);
    let asked = other.requests().len();
    let mut command = node.command(paths::shim_tree().join(INSTALLER));
    command.arg("install").env("NODE_NAME", "node-a");
    command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1");
    command.env("KUBERNETES_SERVICE_PORT", &other.port);
    let refused = command::output(command, Duration::from_secs(60));
    refused.expect_code(1);
    assert!(
        refused.stderr_text().contains("certificate"),
        "{}",
        refused.describe()
    );
    assert_eq!(other.requests().len(), asked);
}

fn documents(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(paths::workspace().join("deploy").join(path)).expect(path);
    serde_norway::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).expect(path))
        .collect()
}

/// What is said in several files is the same.
fn manifests(_: &Path) {
    let class = &documents("runtime-class.yaml")[0];
    assert_eq!(class["handler"], "wasm");
    let patch = &documents("kustomization.yaml")[0]["patches"][0]["patch"];
    let patch: Value = serde_norway::from_str(patch.as_str().expect("a patch")).expect("YAML");
    for part in ["apiVersion", "kind", "metadata"] {
        assert_eq!(patch[part], class[part]);
    }
    assert_eq!(patch["scheduling"]["nodeSelector"], json!({LABEL: "true"}));
    let image = fs::read_to_string(paths::workspace().join("deploy/image.sh")).expect("image.sh");
    for (path, command) in [
        ("daemonset.yaml", "run"),
        ("uninstall/daemonset.yaml", "run-uninstall"),
    ] {
        let pod = &documents(path)[0]["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        assert_eq!(
            container["args"],
            json!([command, "--host-root", "/host"]),
            "{path}"
        );
        assert_eq!(
            (&pod["hostPID"], &container["securityContext"]["privileged"]),
            (&json!(true), &json!(true))
        );
        let name = container["image"].as_str().expect("an image");
        assert!(
            image.contains(&format!("{{IMAGE:-{name}}}")),
            "{path}: {name}"
        );
        assert!(
            name.ends_with(&format!(":{}", env!("CARGO_PKG_VERSION"))),
            "{name}"
        );
        let probe = &container["startupProbe"]["exec"]["command"];
        assert_eq!(probe, &json!(["/wasm-node-installer", "ready"]), "{path}");
        for command in [command, "ready"] {
            let mut help = Command::new(paths::shim_tree().join(INSTALLER));
            help.args([command, "--help"]);
            command::output(help, Duration::from_secs(10)).success();
        }
    }
    let shim = &documents("runtime-class-manager/shim.yaml")[0];
    assert_eq!(shim["spec"]["runtimeClass"]["handler"], "wasm-v1");
    let role = &documents("base/rbac.yaml")[1];
    assert_eq!(
        role["rules"],
        json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["patch"]}])
    );
}

/// Each file is in a kustomization, and what these name is there; with a kubectl at
/// hand, it agrees.
fn kustomize(_: &Path) {
    let deploy = paths::workspace().join("deploy");
    for (folder, kinds) in [
        (
            ".",
            &[
                "Namespace",
                "ServiceAccount",
                "ClusterRole",
                "ClusterRoleBinding",
                "DaemonSet",
                "RuntimeClass",
            ][..],
        ),
        (
            "uninstall",
            &[
                "Namespace",
                "ServiceAccount",
                "ClusterRole",
                "ClusterRoleBinding",
                "DaemonSet",
            ][..],
        ),
    ] {
        let mut found = Vec::new();
        collect(folder, &mut found);
        let names: Vec<_> = found
            .iter()
            .map(|document| document["kind"].as_str().unwrap_or_default())
            .collect();
        assert_eq!(names, kinds, "{folder}");
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("kustomize").arg(deploy.join(folder));
        if kubectl.output().is_err() {
            continue;
        }
        let rendered = command::output(kubectl, Duration::from_secs(60)).success();
        for kind in kinds {
            assert!(
                rendered.contains(&format!("\nkind: {kind}\n")),
                "{kind} in\n{rendered}"
            );
        }
    }
}

fn collect(folder: &str, found: &mut Vec<Value>) {
    for resource in documents(&format!("{folder}/kustomization.yaml"))[0]["resources"]
        .as_array()
        .expect("resources")
    {
        let path = format!("{folder}/{}", resource.as_str().expect("a path"));
        match paths::workspace().join("deploy").join(&path).is_dir() {
            true => collect(&path, found),
            false => found.extend(documents(&path)),
        }
    }
}

/// The keys of the settings' file, as the shim's source has them.
fn operations_lists_all_keys(_: &Path) {
    let read = |path: &str| fs::read_to_string(paths::workspace().join(path)).expect(path);
    let source = read("shim/src/settings.rs");
    let fields = source
        .split("struct Settings {")
        .nth(1)
        .and_then(|rest| rest.split('}').next())
        .expect("the struct");
    let keys: Vec<_> = fields
        .lines()
        .filter_map(|line| line.trim().trim_start_matches("pub ").split_once(": "))
        .map(|(name, _)| name)
        .collect();
    assert!(keys.contains(&"aot"), "{keys:?}");
    let page = read("docs/operations.md");
    let rows: BTreeMap<_, _> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .filter(|(key, _)| !key.contains(' ') && !key.contains('/') && !key.contains('.'))
        .collect();
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), {
        let mut keys = keys.clone();
        keys.sort_unstable();
        keys
    });
    // The installer's doctor tells keys that the shim does not know.
    let doctor = read("deploy/installer/src/doctor/shim.rs");
    let known = format!("const KEYS: [&str; {}] = {keys:?};", keys.len());
    assert!(doctor.contains(&known), "{known}");
    // The default is the variant that is marked so.
    let default = source
        .split("#[default]")
        .nth(1)
        .and_then(|rest| rest.split(',').next())
        .expect("a default");
    let default = default.trim().to_lowercase();
    assert!(
        rows["aot"].contains(&format!("`\"{default}\"`")),
        "{}: {default}",
        rows["aot"]
    );
}
