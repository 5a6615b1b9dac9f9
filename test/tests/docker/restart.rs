//! Containers while dockerd is away.

use serde_json::json;
use shim_test::docker::{Case, Docker};
use shim_test::{guest_image, paths};

shim_test::tests! {
    any: live_restore;
    wasm:
}

/// What a container writes while dockerd is away, and its end, are not lost
/// (`"live-restore": true` in `daemon.json`).
fn live_restore(case: &Case) {
    const TICKS: usize = 40;
    let version = &case.docker.version;
    let mut docker = Docker::apart(version, "live", json!({"live-restore": true}));
    let (image, platform) = if paths::runs_wasm() {
        (guest_image::WASI, "wasi/wasm")
    } else {
        (guest_image::NAME, "linux/amd64")
    };
    let runtime = format!("--runtime={}", paths::runtime());
    let run = ["run", "--detach", "--name", "live", "--network", "none"];
    let rest = [
        &runtime,
        "--platform",
        platform,
        image,
        "tick",
        &TICKS.to_string(),
        "100",
    ];
    docker.call(&[&run[..], &rest[..]].concat()).success();
    docker.kill();
    docker.restart();
    let status = ["inspect", "--format", "{{.State.Running}}", "live"];
    assert_eq!(docker.call(&status).success(), "true\n");
    assert_eq!(docker.call(&["wait", "live"]).success(), "0\n");
    let logs = docker.call(&["logs", "live"]).success();
    assert_eq!(logs.lines().count(), TICKS, "{logs}");
    docker.call(&["rm", "live"]).success();
}
