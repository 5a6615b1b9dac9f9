//! Docker's networks, in a network namespace of the test run's own.

use shim_test::command;
use shim_test::docker::{Case, LIMIT};
use shim_test::guest_image::NATIVE;

shim_test::tests! {
    any: hostname;
    wasm: published_port, network_none, container_to_container
}

const SOCKET: &str = "/bin/socket";

/// From the host to a port that Docker publishes: docker-proxy serves the
/// loopback's address, rules of the kernel all others.
fn published_port(case: &Case) {
    for address in ["127.0.0.1", "172.17.0.1"] {
        let flags = ["--publish", "8080:80", "--entrypoint", SOCKET];
        let mut live = case.start(&flags, &["serve", "0.0.0.0:80"]);
        live.expect_line("listening");
        let talk =
            format!("exec 3<>/dev/tcp/{address}/8080 && printf %s 'from outside' >&3 && cat <&3");
        let mut bash = case.docker.command("bash");
        bash.args(["-c", &talk]);
        assert_eq!(command::output(bash, LIMIT).success(), "FROM OUTSIDE");
        live.finish(LIMIT).expect_code(0);
    }
}

fn container_to_container(case: &Case) {
    let name = case.detach(
        &["--network", "bridge", "--entrypoint", SOCKET],
        &["serve", "0.0.0.0:80"],
    );
    case.follow(&["logs", "--follow", &name])
        .expect_line("listening");
    let address = case.inspect(&name, ".NetworkSettings.Networks.bridge.IPAddress");
    let flags = ["--network", "bridge", "--entrypoint", SOCKET];
    let output = case.run_second(&flags, &["connect", &format!("{address}:80")]);
    assert_eq!(output.success(), "connected\n");
    assert_eq!(case.call(&["wait", &name]).success(), "0\n");
    case.remove(&name);
}

fn network_none(case: &Case) {
    let flags = ["--network", "none", "--entrypoint", SOCKET];
    let output = case.run(&flags, &["connect", "172.17.0.1:80"]);
    output.expect_code(1);
    assert!(
        output.stderr_text().starts_with("socket: "),
        "{}",
        output.describe()
    );
}

fn hostname(case: &Case) {
    let flags = [
        "--network",
        "bridge",
        "--hostname",
        "given",
        "--entrypoint",
        NATIVE,
    ];
    let text = case.run(&flags, &["id"]).success();
    assert!(text.contains("hostname=given\n"), "{text}");
}
