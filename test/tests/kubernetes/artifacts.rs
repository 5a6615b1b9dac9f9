//! OCI artifacts in pods.

use serde_json::json;
use shim_test::{packer, paths};

use crate::harness::{Case, pod};

shim_test::tests! {
    any: ;
    wasm: artifact_as_image
}

/// The container's image is an artifact, of several modules.
fn artifact_as_image(case: &Case) {
    let module = |name: &str| paths::guest(&format!("imports/{name}.wasm"));
    let archive = case.folder("archives").join("app.tar");
    let imports = ["math", "greeter"].map(|name| format!("{name}={}", module(name).display()));
    let flags = ["--tag", "localhost/artifact:1", "--artifact"];
    let flags = [
        &flags[..],
        &["--import", &imports[0], "--import", &imports[1]],
    ]
    .concat();
    packer::pack(&module("app"), &archive, &flags);
    let archive = archive.display().to_string();
    let import = [
        "images",
        "import",
        "--no-unpack",
        "--platform",
        "wasip1/wasm",
        &archive,
    ];
    case.cluster.ctr().call(&import).success();
    let container = json!({"image": "localhost/artifact:1", "command": ["app"]});
    case.apply(&pod("a", &[], container, json!({})));
    case.wait_for_phase("a", "Succeeded");
    assert_eq!(case.logs("a"), "math\ngreeter 100\napp 103\nhello 142\n");
}
