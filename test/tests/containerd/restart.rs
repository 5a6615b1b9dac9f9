//! When the node installer restarts containerd, and when it leaves that to the
//! operator; with a `systemctl` that writes down what it is asked.

use std::fs;
use std::path::Path;

use shim_test::node::{CONFIG, Node};
use shim_test::versions;

use crate::suite::Once;

pub const ONCE: &[Once] = &[
    ("restart_if_safe", restart_if_safe),
    ("restart_by_hand", restart_by_hand),
    ("restart_that_fails", restart_that_fails),
    ("configuration_that_fails", configuration_that_fails),
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
