//! Pods and Jobs as the API takes them, with what most tests want.

use serde_json::{Value, json};
use shim_test::guest_image;

/// A pod of one container `main` that runs the guest. `container` and `spec`
/// say what is special of either.
pub fn pod(name: &str, args: &[&str], container: Value, spec: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": pod_spec(args, container, spec),
    })
}

/// A Job of one such pod, which is not tried again.
pub fn job(name: &str, args: &[&str], container: Value, spec: Value) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod_spec(args, container, spec)}},
    })
}

pub fn pod_spec(args: &[&str], container: Value, spec: Value) -> Value {
    let main = json!({
        "name": "main",
        "image": guest_image::NAME,
        "imagePullPolicy": "Never",
        "args": args,
    });
    let common = json!({
        "runtimeClassName": "wasm",
        "restartPolicy": "Never",
        "containers": [with(main, container)],
    });
    with(common, spec)
}

fn with(mut object: Value, more: Value) -> Value {
    let (Value::Object(fields), Value::Object(more)) = (&mut object, more) else {
        panic!("objects are wanted");
    };
    fields.extend(more);
    object
}
