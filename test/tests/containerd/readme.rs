//! The commands of the README, as it prints them.

use std::fs;
use std::process::Command;
use std::time::Duration;

use shim_test::case::Case;
use shim_test::{command, demo, leak, paths};

crate::tests! {
    any:;
    wasm: readme
}

/// Marks a block of the README that this test runs, whole.
const MARK: &str = "<!-- run by test/tests/containerd/readme.rs -->\n```sh\n";

fn readme(case: &Case) {
    demo::prepare();
    let text = fs::read_to_string(paths::workspace().join("README.md")).expect("README.md");
    let blocks: Vec<_> = text
        .split(MARK)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert_eq!(blocks.len(), 3, "blocks of README.md that are marked");
    let image = run(case, blocks[0]);
    assert!(image.contains("greets 3 guests"), "{image}");
    assert!(
        image.ends_with("Hello, Wasm!\nHello, containerd!\n"),
        "{image}"
    );
    let rootfs = run(case, blocks[1]);
    assert_eq!(rootfs, "[/app.wasm]\n[args]\n[one]\n[two words]\n");
    let packed = run(case, blocks[2]);
    assert!(packed.contains("\nentrypoint   /guest.wasm\n"), "{packed}");
    assert!(
        packed.ends_with("[/guest.wasm]\n[args]\n[one]\n"),
        "{packed}"
    );
    for id in ["demo", "hello", "packed"] {
        leak::assert_no_trace(case.containerd.namespace(), id);
    }
}

/// Runs a block with `ctr` talking to this test's containerd, as if all were installed.
fn run(case: &Case, block: &str) -> String {
    let mut bash = Command::new("bash");
    let bin = case.containerd.version.bin.display();
    let installed = paths::shim_tree().join("bin");
    let installed = installed.display();
    bash.args(["-euo", "pipefail", "-c", block])
        .current_dir(paths::workspace())
        .env(
            "PATH",
            format!("{bin}:{installed}:/usr/sbin:/usr/bin:/sbin:/bin"),
        )
        .env("CONTAINERD_ADDRESS", case.containerd.socket())
        .env("CONTAINERD_NAMESPACE", case.containerd.namespace());
    command::output(bash, Duration::from_secs(180)).success()
}
