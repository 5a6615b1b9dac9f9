//! When the node installer restarts containerd, and when it leaves that to the
//! operator; with a `systemctl` that writes down what it is asked.

use std::fs;
use std::path::Path;

use shim_test::node::{CONFIG, INSTALLER, Node};
use shim_test::{paths, versions};

use crate::suite::Once;

pub const ONCE: &[Once] = &[
    ("restart_if_safe", restart_if_safe),
    ("restart_by_hand", restart_by_hand),
    ("restart_that_fails", restart_that_fails),
    ("configuration_that_fails", configuration_that_fails),
    ("installer_waits", installer_waits),
    ("installer_without_a_link", installer_without_a_link),
];

const LOG: &str = "/run/systemctl.log";

/// A node with a systemd whose containerd has this KillMode. `extra` comes first.
fn node(folder: &Path, kill_mode: &str, extra: &str) -> Node {
    let node = Node::new(&versions::newest(), folder);
    node.write(CONFIG, node.default_config());
    let script =
        format!("echo \"$@\" >>{LOG}\n{extra}\n[ \"$1\" != show ] || echo KillMode={kill_mode}");
    node.script("systemctl", &script);
    node
}

/// How often containerd was restarted since the last time this was asked.
fn restarts(node: &Node) -> usize {
    let log = fs::read_to_string(node.path(LOG)).unwrap_or_default();
    drop(fs::remove_file(node.path(LOG)));
    log.lines()
        .filter(|line| *line == "restart containerd")
        .count()
}

fn restart_if_safe(folder: &Path) {
    let node = node(folder, "process", "");
    for (action, expected) in [
        ("install", 1),
        ("install", 0),
        ("uninstall", 1),
        ("uninstall", 0),
    ] {
        node.installer(&[action]).success();
        assert_eq!(restarts(&node), expected, "{action}");
    }
    node.installer(&["install", "--no-restart"]).success();
    assert_eq!(restarts(&node), 0);
}

/// A restart would end all pods, or nobody knows how.
fn restart_by_hand(folder: &Path) {
    let killing = node(&folder.join("killing"), "control-group", "");
    let said = killing.installer(&["install"]).success();
    assert!(
        said.contains("KillMode=control-group: a restart would end all pods"),
        "{said}"
    );
    assert_eq!(restarts(&killing), 0);
    let inactive = node(
        &folder.join("inactive"),
        "process",
        "[ \"$1\" != is-active ] || exit 3",
    );
    let said = inactive.installer(&["install"]).success();
    assert!(
        said.contains("systemd runs no containerd here; restart it"),
        "{said}"
    );
    assert_eq!(restarts(&inactive), 0);
}

/// The first restart fails: the configuration goes back, and containerd comes back.
fn restart_that_fails(folder: &Path) {
    let once = "if [ \"$1\" = restart ] && ! [ -e /run/failed ]; then : >/run/failed; echo 'Job failed' >&2; exit 1; fi";
    let node = node(folder, "process", once);
    let before = node.read(CONFIG);
    let failed = node.installer(&["install"]);
    failed.expect_code(1);
    let error = failed.stderr_text();
    assert!(
        error.contains("Job failed; containerd's configuration is as it was before\n"),
        "{error}"
    );
    assert_eq!(node.read(CONFIG), before);
    assert_eq!(restarts(&node), 2);
    node.installer(&["install"]).success();
    assert_ne!(node.read(CONFIG), before);
    assert_eq!(restarts(&node), 1);
}

/// containerd itself is asked before it is restarted.
fn configuration_that_fails(folder: &Path) {
    let node = node(folder, "process", "");
    let before = node.read(CONFIG);
    let real = node.version.bin.join("containerd");
    let script = format!(
        "case \"$*\" in *'config dump') echo 'containerd: no' >&2; exit 1;; esac\nexec {} \"$@\"",
        real.display()
    );
    node.script("containerd", &script);
    let failed = node.installer(&["install"]);
    failed.expect_code(1);
    assert!(
        failed
            .stderr_text()
            .contains("containerd: no; containerd's configuration is as it was"),
        "{}",
        failed.describe()
    );
    assert_eq!(node.read(CONFIG), before);
}

/// As the DaemonSet's only process: it stays when it is done, and ends when it is
/// told to, without uninstalling.
fn installer_waits(folder: &Path) {
    let node = node(folder, "process", "");
    let installer = paths::shim_tree().join(INSTALLER);
    let mut command = node.command("sh");
    // Where the harness listens.
    command.args(["-c", "exec \"$0\" run >&2"]).arg(installer);
    let mut daemon = node.start(command, "installed");
    assert_eq!(daemon.stop(), 0);
    assert!(node.path("/opt/containerd-shim-wasm/current/bin").exists());
}

/// Some nodes have a read-only /usr, others a shim of their own there.
fn installer_without_a_link(folder: &Path) {
    let link = "/usr/local/bin/containerd-shim-wasm-v1";
    let fixed = node(&folder.join("fixed"), "process", "");
    let before = fixed.files();
    let read_only = ["-o", "remount,ro", "/usr/local/bin"];
    fixed.run("mount", &read_only).success();
    let said = fixed.installer(&["install"]).success();
    assert!(
        said.contains(&format!("note: {link} can't be made")),
        "{said}"
    );
    assert!(said.ends_with("installed\n"), "{said}");
    fixed.installer(&["uninstall"]).success();
    fixed.expect_files(&before, "uninstalled");
    let other = node(&folder.join("other"), "process", "");
    other.write(link, "another shim");
    let before = other.files();
    let said = other.installer(&["install"]).success();
    assert!(
        said.contains(&format!("note: {link} is not of this installer")),
        "{said}"
    );
    other.installer(&["uninstall"]).success();
    other.expect_files(&before, "uninstalled");
}
