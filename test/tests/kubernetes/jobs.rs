//! Jobs: what goes in, what comes out, how they end.

use std::fs;

use serde_json::json;
use shim_test::guest_image::NATIVE;

use crate::harness::{Case, job};

shim_test::tests! {
    any: job_of_volumes, job_of_variables, job_of_many, job_fails, job_out_of_memory;
    wasm: job_traps, job_refused
}

/// ConfigMap and folder of the node come in, folder of the node and emptyDir go out.
fn job_of_volumes(case: &Case) {
    let inputs = case.folder("inputs");
    fs::write(inputs.join("names"), "from the node\n").expect("an input");
    let outputs = case.folder("outputs");
    case.apply(&json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings"},
        "data": {"greeting": "from the cluster\n"},
    }));
    let step = |name: &str, args: &[&str], mounts: serde_json::Value| {
        json!({
            "name": name,
            "image": shim_test::guest_image::NAME,
            "imagePullPolicy": "Never",
            "args": args,
            "volumeMounts": mounts,
        })
    };
    let spec = json!({
        "initContainers": [
            step("config-map", &["read", "/inputs/greeting"], json!([{"name": "settings", "mountPath": "/inputs"}])),
            step("host-path", &["read", "/inputs/names"], json!([{"name": "node", "mountPath": "/inputs", "readOnly": true}])),
            step("fill", &["write", "/outputs/part", "between containers"], json!([{"name": "shared", "mountPath": "/outputs"}])),
            step("use", &["read", "/inputs/part"], json!([{"name": "shared", "mountPath": "/inputs"}])),
        ],
        "volumes": [
            {"name": "settings", "configMap": {"name": "settings"}},
            {"name": "node", "hostPath": {"path": inputs, "type": "Directory"}},
            {"name": "results", "hostPath": {"path": outputs, "type": "Directory"}},
            {"name": "shared", "emptyDir": {}},
        ],
    });
    let container = json!({"volumeMounts": [{"name": "results", "mountPath": "/outputs"}]});
    case.apply(&job(
        "a",
        &["write", "/outputs/result", "done"],
        container,
        spec,
    ));
    case.wait("job/a", "condition=Complete");
    let result = fs::read_to_string(outputs.join("result"));
    assert_eq!(result.expect("a result"), "done");
    let logs = |container| {
        let args = ["logs", "job/a", "--container", container];
        case.kubectl().call(&args).success()
    };
    assert_eq!(logs("config-map"), "from the cluster\n");
    assert_eq!(logs("host-path"), "from the node\n");
    assert_eq!(logs("use"), "between containers");
}

/// Arguments, variables and the downward API.
fn job_of_variables(case: &Case) {
    let container = json!({
        "env": [
            {"name": "TITLE", "value": "two words"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
        ],
        "resources": {"limits": {"memory": "64Mi"}},
    });
    let spec = json!({"initContainers": [{
        "name": "arguments",
        "image": shim_test::guest_image::NAME,
        "imagePullPolicy": "Never",
        "env": [{"name": "TITLE", "value": "two words"}],
        "args": ["args", "$(TITLE)", ""],
    }]});
    case.apply(&job("a", &["env"], container, spec));
    case.wait("job/a", "condition=Complete");
    let pods = case.kubectl().get("pods");
    let pod = &pods["items"][0];
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let environment = case.logs("job/a");
    for line in [
        "TITLE=two words".into(),
        format!("POD={}", text(&pod["metadata"]["name"])),
        format!("ADDRESS={}", text(&pod["status"]["podIP"])),
        format!("LIMIT={}", 64 << 20),
        "FROM_IMAGE=as it is".into(),
    ] {
        assert!(
            environment.lines().any(|found| found == line),
            "no {line} in {environment}"
        );
    }
    let name = text(&pod["metadata"]["name"]);
    let args = ["logs", &name, "--container", "arguments"];
    let arguments = case.kubectl().call(&args).success();
    assert_eq!(arguments, "[/guest]\n[args]\n[two words]\n[]\n");
}

/// Each pod of an indexed Job knows which one it is.
fn job_of_many(case: &Case) {
    let mut many = job("a", &["env"], json!({}), json!({}));
    for (field, value) in [("completions", json!(6)), ("parallelism", json!(3))] {
        many["spec"][field] = value;
    }
    many["spec"]["completionMode"] = "Indexed".into();
    case.apply(&many);
    case.wait("job/a", "condition=Complete");
    let args = ["logs", "--selector=job-name=a", "--tail=-1"];
    let said = case.kubectl().call(&args).success();
    for index in 0..6 {
        let line = format!("JOB_COMPLETION_INDEX={index}");
        assert_eq!(said.matches(&line).count(), 1, "{line} in {said}");
    }
}

/// Waits for a Job that fails, and returns the name of its pod.
fn failed(case: &Case) -> String {
    case.wait("job/a", "condition=Failed");
    let pods = case.kubectl().get("pods");
    let name = pods["items"][0]["metadata"]["name"].as_str();
    name.expect("a pod").to_owned()
}

fn job_fails(case: &Case) {
    case.apply(&job("a", &["exit", "7"], json!({}), json!({})));
    case.expect_end(&failed(case), 7, "Error");
}

fn job_traps(case: &Case) {
    case.apply(&job("a", &["trap"], json!({}), json!({})));
    let pod = failed(case);
    case.expect_end(&pod, 134, "Error");
    assert!(
        case.logs(&pod).contains("unreachable"),
        "{}",
        case.logs(&pod)
    );
}

/// What is wrong before the guest starts is said in the pod's status.
fn job_refused(case: &Case) {
    let container = json!({"command": ["/broken/component"]});
    case.apply(&job("a", &[], container, json!({})));
    let pod = failed(case);
    case.expect_end(&pod, 128, "StartError");
    let status = case.status(&pod, "main");
    let message = &status["state"]["terminated"]["message"];
    let said = message.as_str().unwrap_or_default();
    assert!(said.contains("component"), "{status}");
}

fn job_out_of_memory(case: &Case) {
    let container = json!({
        "command": [NATIVE],
        "resources": {"limits": {"memory": "32Mi"}},
    });
    case.apply(&job("a", &["grow", "200"], container, json!({})));
    case.expect_end(&failed(case), 137, "OOMKilled");
}
