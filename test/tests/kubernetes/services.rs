//! Guests that serve.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::harness::{Case, pod_spec};

shim_test::tests! {
    any: ;
    wasm: deployment_behind_a_service
}

/// The address of the Service is kube-proxy's; behind it are both pods.
fn deployment_behind_a_service(case: &Case) {
    let container = json!({
        "command": ["/bin/socket"],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    });
    let spec = pod_spec(
        &["answer", "0.0.0.0:8080"],
        container,
        json!({"restartPolicy": "Always"}),
    );
    case.apply(&json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "server"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "server"}},
            "template": {"metadata": {"labels": {"app": "server"}}, "spec": spec},
        },
    }));
    let rollout = ["rollout", "status", "deployment/server", "--timeout=120s"];
    case.kubectl().call(&rollout).success();
    let expose = [
        "expose",
        "deployment/server",
        "--port=80",
        "--target-port=8080",
    ];
    case.kubectl().call(&expose).success();
    let service = case.kubectl().get("service/server");
    let address = service["spec"]["clusterIP"].as_str().expect("an address");
    // kube-proxy tells nobody when its rules are there.
    shim_test::wait::until_clean(shim_test::ctr::LIMIT, || {
        TcpStream::connect((address, 80))
            .err()
            .map(|error| format!("no way to the Service: {error}"))
    });
    for _ in 0..10 {
        let mut stream = TcpStream::connect((address, 80)).expect("the Service");
        stream.write_all(b"from outside").expect("a server");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert_eq!(answer, "FROM OUTSIDE");
    }
}
