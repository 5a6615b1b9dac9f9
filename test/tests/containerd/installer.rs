//! `wasm-node-installer` on nodes with a real containerd of each version.

use std::fs;
use std::os::unix::fs::MetadataExt;

use shim_test::case::Case;
use shim_test::guest_image;
use shim_test::node::{CONFIG, INSTALLER, Node};
use shim_test::paths;

crate::tests! {
    any:;
    wasm: node_runs_wasm, node_keeps_what_is_edited, node_twice_is_once, node_killed_at_each_step,
        node_upgraded_under_containers, node_from_its_image
}

const SHIM: &str = "/opt/containerd-shim-wasm/current/bin/containerd-shim-wasm-v1";
const LINK: &str = "/usr/local/bin/containerd-shim-wasm-v1";

/// A node with the configuration that its containerd makes.
fn node(case: &Case) -> Node {
    let node = Node::new(&case.containerd.version, &case.folder("node"));
    node.write(CONFIG, node.default_config());
    node
}

/// Has containerd the guest's image.
fn import(node: &Node) {
    guest_image::guest().write(&node.path("/run/guest.tar"));
    node.ctr(&["images", "import", "/run/guest.tar"]).success();
}

/// containerd with its CRI plugin runs a guest by the installed shim: the way that
/// `ctr` finds it, and the path that is in the configuration.
fn expect_guest(node: &Node) {
    let _containerd = node.containerd();
    import(node);
    let plugins = node.ctr(&["plugins", "list"]).success();
    let cri: Vec<_> = plugins
        .lines()
        .filter(|line| line.contains("cri"))
        .collect();
    assert!(
        !cri.is_empty()
            && cri
                .iter()
                .all(|line| line.ends_with("ok    ") || line.trim_end().ends_with("ok")),
        "{cri:?}"
    );
    for (id, runtime) in [("by-name", "io.containerd.wasm.v1"), ("by-path", SHIM)] {
        let output = node.ctr(&[
            "run",
            "--rm",
            "--runtime",
            runtime,
            guest_image::NAME,
            id,
            "/guest",
            "hello",
        ]);
        assert_eq!(output.success(), "hello from the guest\n");
    }
}

fn expect_runtimes(node: &Node) {
    let dump = node.dump().replace('\'', "\"");
    let plugin = match node.version.major() {
        1 => "io.containerd.grpc.v1.cri",
        _ => "io.containerd.cri.v1.runtime",
    };
    for part in [
        format!("[plugins.\"{plugin}\".containerd.runtimes.runc]"),
        format!("[plugins.\"{plugin}\".containerd.runtimes.wasm]"),
        format!("runtime_path = \"{SHIM}\""),
        "pod_annotations = [\"io.containerd.wasm.*\", \"module.wasm.image/variant\", \"run.oci.handler\"]".into(),
    ] {
        assert!(dump.contains(&part), "{part} is not in\n{dump}");
    }
    let pulls_locally = dump.contains("use_local_image_pull = true");
    assert_eq!(pulls_locally, node.version.major() >= 2);
}

fn node_runs_wasm(case: &Case) {
    let node = node(case);
    let before = node.files();
    let doctor = node.installer(&["doctor"]);
    doctor.expect_code(1);
    assert!(
        doctor
            .stdout_text()
            .contains("PROBLEM  no shim is installed"),
        "{}",
        doctor.describe()
    );
    node.installer(&["install"]).success();
    expect_runtimes(&node);
    expect_guest(&node);
    let report = node.installer(&["doctor"]).success();
    for part in [
        "as it was installed",
        "the zygote loads WasmEdge: wasm-zygote ",
        "has the runtime \"wasm\"",
        "problems: 0,",
    ] {
        assert!(report.contains(part), "{report}");
    }
    fs::remove_dir_all(node.path("/opt/containerd")).expect("made by containerd");
    node.installer(&["uninstall"]).success();
    node.expect_files(&before, "uninstalled");
}

/// Comments, order, quoting and the rest of a file that a person wrote stay.
fn node_keeps_what_is_edited(case: &Case) {
    let node = node(case);
    let (version, plugin) = match node.version.major() {
        1 => (2, "io.containerd.grpc.v1.cri"),
        _ => (3, "io.containerd.cri.v1.runtime"),
    };
    let edited = format!(
        "# Our nodes. Ask ops before you touch this!\n\
         root = '/run/root'\t# fast disk\n\
         version = {version}\n\n\
         [plugins.\"{plugin}\".containerd] # pods\n\
         \x20   default_runtime_name = 'runc'\n\
         [plugins.\"{plugin}\".containerd.runtimes]\n\
         \x20 [plugins.\"{plugin}\".containerd.runtimes.\"runc\"]\n\
         runtime_type='io.containerd.runc.v2'\n\
         [plugins.\"{plugin}\".containerd.runtimes.runc.options]\n\
         SystemdCgroup = true # as kubelet\n\n\
         # [plugins.\"{plugin}\".containerd.runtimes.wasm]\n\
         [debug]\n  level = \"warn\" # the end"
    );
    node.write(CONFIG, &edited);
    let before = node.files();
    node.installer(&["install"]).success();
    let changed = node.read(CONFIG);
    let kept: Vec<_> = edited.lines().collect();
    let rest: Vec<_> = changed.lines().filter(|line| kept.contains(line)).collect();
    assert_eq!(rest, kept, "{changed}");
    expect_runtimes(&node);
    assert_eq!(
        node.dump().matches("SystemdCgroup = true").count(),
        2,
        "{}",
        node.dump()
    );
    node.installer(&["uninstall"]).success();
    assert_eq!(node.read(CONFIG), edited);
    node.expect_files(&before, "uninstalled");
}

fn node_twice_is_once(case: &Case) {
    let node = node(case);
    node.installer(&["install"]).success();
    let (first, config) = (node.files(), node.path(CONFIG));
    let inode = |path| fs::metadata(path).expect("a file").ino();
    let link = fs::symlink_metadata(node.path(LINK))
        .expect("the link")
        .ino();
    let before = inode(&config);
    assert_eq!(node.installer(&["install"]).success(), "installed\n");
    node.expect_files(&first, "installed twice");
    assert_eq!(inode(&config), before);
    assert_eq!(
        fs::symlink_metadata(node.path(LINK))
            .expect("the link")
            .ino(),
        link
    );
    // A second uninstall has nothing to do either.
    node.installer(&["uninstall"]).success();
    assert_eq!(node.installer(&["uninstall"]).success(), "uninstalled\n");
}

/// A system call that changes folders: how often at least it is made, and up to
/// which one it is killed there, as removing the tree has one for each file.
type Call = (&'static str, usize, usize);

const INSTALL: [Call; 3] = [("mkdir", 2, 4), ("rename", 5, 99), ("symlink", 2, 99)];
const UNINSTALL: [Call; 3] = [("rename", 3, 99), ("unlink", 1, 99), ("unlinkat", 2, 2)];

/// Whenever it is killed, containerd can read its configuration, and uninstalling
/// leaves nothing.
fn node_killed_at_each_step(case: &Case) {
    let node = node(case);
    let before = node.files();
    for (action, calls) in [("install", INSTALL), ("uninstall", UNINSTALL)] {
        for (call, at_least, up_to) in calls {
            let mut killed = 0;
            while killed < up_to {
                if action == "uninstall" {
                    node.installer(&["install"]).success();
                }
                let code = killed_at(&node, action, call, killed + 1);
                node.dump();
                node.installer(&["uninstall"]).success();
                let when = format!("{action} killed at {call} {}", killed + 1);
                node.expect_files(&before, &when);
                if code == 0 {
                    break;
                }
                assert_eq!(code, 137, "{when}");
                killed += 1;
            }
            assert!(killed >= at_least, "{action} has only {killed} {call}");
        }
    }
}

/// Ends the installer at the system call `call` number `count`, if there are so
/// many. Returns the exit code.
fn killed_at(node: &Node, action: &str, call: &str, count: usize) -> i32 {
    let inject = format!("inject={call}:signal=KILL:when={count}");
    let program = paths::shim_tree().join(INSTALLER);
    let program = program.to_string_lossy();
    let strace = [
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &inject,
        &program,
        action,
    ];
    node.run("strace", &strace).code
}

/// Running containers keep the release that they began with; when they are gone it
/// goes too. Nothing is uninstalled under them.
fn node_upgraded_under_containers(case: &Case) {
    let node = node(case);
    node.installer(&["install"]).success();
    let _containerd = node.containerd();
    import(&node);
    let run = [
        "run",
        "--detach",
        "--null-io",
        "--runtime",
        "io.containerd.wasm.v1",
        guest_image::NAME,
    ];
    node.ctr(&[&run[..], &["old", "/guest", "sleep"]].concat())
        .success();
    let tree = node.path("/run/new");
    let mut copy = std::process::Command::new("cp");
    copy.arg("-a").arg(paths::shim_tree()).arg(&tree);
    shim_test::command::output(copy, std::time::Duration::from_secs(60)).success();
    node.write("/run/new/lib/containerd-shim-wasm/release", "new\n");
    let releases = || {
        fs::read_dir(node.path("/opt/containerd-shim-wasm/releases"))
            .expect("releases")
            .count()
    };
    let upgraded = node
        .installer(&["install", "--bundle", "/run/new"])
        .success();
    assert!(
        upgraded.contains("new containers run with release"),
        "{upgraded}"
    );
    assert!(
        !upgraded.contains("changed"),
        "the configuration is the same: {upgraded}"
    );
    assert_eq!(releases(), 2, "the old container runs");
    let refused = node.installer(&["uninstall"]);
    refused.expect_code(1);
    assert!(
        refused
            .stderr_text()
            .contains("1 pods or containers of this runtime are running"),
        "{}",
        refused.describe()
    );
    let hello = [
        "run",
        "--rm",
        "--runtime",
        "io.containerd.wasm.v1",
        guest_image::NAME,
        "new",
        "/guest",
        "hello",
    ];
    assert_eq!(node.ctr(&hello).success(), "hello from the guest\n");
    // Into the release that is no longer the current one.
    let exec = ["tasks", "exec", "--exec-id", "e", "old", "/guest", "hello"];
    assert_eq!(node.ctr(&exec).success(), "hello from the guest\n");
    node.ctr(&["tasks", "kill", "--signal", "SIGKILL", "old"])
        .success();
    node.ctr(&["tasks", "delete", "--force", "old"])
        .expect_code(0);
    node.ctr(&["containers", "delete", "old"]).success();
}

/// As the DaemonSet's pod does it: runc, the image without a shell, the node's root
/// at /host, its pid namespace.
fn node_from_its_image(case: &Case) {
    let node = node(case);
    let before = node.files();
    let archive = node.path("/run/installer.tar");
    let mut image = std::process::Command::new(paths::workspace().join("deploy/image.sh"));
    image.arg(&archive);
    shim_test::command::output(image, std::time::Duration::from_secs(60)).success();
    node.script(
        "systemctl",
        "echo \"$@\" >>/run/systemctl.log\n[ \"$1\" != show ] || echo KillMode=process",
    );
    let containerd = node.containerd();
    node.ctr(&["images", "import", "/run/installer.tar"])
        .success();
    fs::remove_file(&archive).expect("the archive");
    let run = |command: &str| {
        node.ctr(&[
            "run",
            "--rm",
            "--privileged",
            "--with-ns",
            "pid:/proc/1/ns/pid",
            "--env",
            "PATH=/run/fake",
            "--mount",
            "type=bind,src=/,dst=/host,options=rbind:rslave",
            "localhost/wasm-node-installer:0.1.0",
            "installer",
            "/wasm-node-installer",
            command,
            "--host-root",
            "/host",
        ])
    };
    let said = run("install").success();
    assert!(
        said.contains("restarted containerd; pods went on running"),
        "{said}"
    );
    assert_eq!(
        node.read("/run/systemctl.log"),
        "is-active containerd\nshow --property=KillMode containerd\nrestart containerd\nis-active containerd\n"
    );
    assert_eq!(run("install").success(), "installed\n");
    // That systemctl has restarted nothing.
    let report = run("doctor").expect_code(1).stdout_text();
    let stale = "PROBLEM  containerd was started before its configuration was changed";
    assert!(report.contains(stale), "{report}");
    drop(containerd);
    let containerd = node.containerd();
    let report = run("doctor").success();
    assert!(report.contains("problems: 0, warnings: 0"), "{report}");
    drop(containerd);
    expect_guest(&node);
    let containerd = node.containerd();
    run("uninstall").success();
    drop(containerd);
    fs::remove_dir_all(node.path("/opt/containerd")).expect("made by containerd");
    node.expect_files(&before, "uninstalled");
}
