//! What a Wasm guest reaches: what its network namespace does, and no more.

use std::time::Duration;

use shim_test::case::Case;
use shim_test::network::{FAR, NEAR, Wire};

crate::tests! {
    any: ;
    wasm: network_serves_tcp, network_connects_out, network_of_nothing
}

const SOCKET: &str = "/bin/socket";

fn network_serves_tcp(case: &Case) {
    let wire = Wire::new(&case.folder("wire"));
    let namespace = format!("network:{}", wire.path().display());
    let run = case.run("a").flags(["--with-ns", &namespace]);
    let mut live = run.program(SOCKET, ["serve", "0.0.0.0:8080"]).start();
    live.expect_line("listening");
    assert_eq!(wire.ask(8080, "from outside"), "FROM OUTSIDE");
    live.finish(shim_test::ctr::LIMIT).expect_code(0);
}

/// Between two guests in one namespace, as in a pod, and between namespaces.
fn network_connects_out(case: &Case) {
    let wire = Wire::new(&case.folder("wire"));
    let namespace = format!("network:{}", wire.path().display());
    let run = |id| case.run(id).flags(["--with-ns", &namespace]);
    let mut live = run("a").program(SOCKET, ["serve", "0.0.0.0:8081"]).start();
    live.expect_line("listening");
    let refused = run("b").program(SOCKET, ["connect", &format!("{NEAR}:8081")]);
    refused.output().expect_code(1);
    let output = run("b")
        .program(SOCKET, ["connect", &format!("{FAR}:8081")])
        .output();
    assert_eq!(output.success(), "connected\n");
    live.finish(shim_test::ctr::LIMIT).expect_code(0);
}

/// A new namespace has no network: an error comes at once.
fn network_of_nothing(case: &Case) {
    for address in [NEAR, "127.0.0.1", "1.1.1.1"] {
        let address = format!("{address}:80");
        let run = case.run("a").program(SOCKET, ["connect", &address]);
        let output = run.limit(Duration::from_secs(10)).output();
        output.expect_code(1);
        assert_eq!(output.stdout_text(), "");
        let text = output.stderr_text();
        assert!(text.starts_with("socket: "), "{text}");
    }
}
