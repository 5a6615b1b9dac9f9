//! The installed tree, and machines that are not the developer's.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::types::introspection::RuntimeInfo;
use shim_test::case::Case;
use shim_test::containerd::{Containerd, Options};
use shim_test::run::Run;
use shim_test::{command, leak, paths};

crate::tests! {
    any: one_cpu;
    wasm: installed_and_moved, says_what_it_is, broken_zygote_says_why
}

/// A containerd of its own with that shim runs a guest to its end.
fn hello_with(case: &Case, name: &str, shim_bin: &Path, wrapper: &[&str]) {
    let options = Options {
        name: format!("{}-{name}", case.containerd.version.name),
        shim_bin: shim_bin.into(),
        wrapper: wrapper.iter().copied().map(Into::into).collect(),
        cri: None,
    };
    let containerd = Containerd::start(&case.containerd.version, &options);
    let output = Run::new(&containerd, name).guest(["hello"]).output();
    assert_eq!(output.success(), "hello from the guest\n");
    let mut live = Run::new(&containerd, name).guest(["sleep"]).start();
    live.expect_line("ready");
    containerd.ctr.kill(name, "SIGKILL").expect_code(0);
    live.finish(Duration::from_secs(10)).expect_code(137);
    leak::assert_no_trace(containerd.namespace(), name);
}

fn one_cpu(case: &Case) {
    hello_with(
        case,
        "one-cpu",
        &paths::shim_tree().join("bin"),
        &["taskset", "-c", "0"],
    );
}

fn installed_and_moved(case: &Case) {
    let (first, second) = (case.folder("first"), case.folder("second"));
    let mut make = Command::new("make");
    make.arg("--no-print-directory")
        .arg("-C")
        .arg(paths::workspace());
    make.arg("install")
        .arg(format!("DESTDIR={}", first.display()))
        .arg("PREFIX=/usr/local");
    command::output(make, Duration::from_secs(120)).success();
    let mut packer = Command::new(first.join("usr/local/bin/wasm-oci"));
    packer.arg("--version");
    command::output(packer, Duration::from_secs(10)).success();
    hello_with(case, "installed", &first.join("usr/local/bin"), &[]);
    fs::rename(first.join("usr/local"), second.join("elsewhere")).expect("the tree moves");
    hello_with(case, "moved", &second.join("elsewhere/bin"), &[]);
}

/// `-info` as containerd 2.x and Docker ask it, and `-v` as people do.
fn says_what_it_is(_: &Case) {
    let call = |flag: &str| {
        let mut shim = Command::new(paths::shim_tree().join("bin/containerd-shim-wasm-v1"));
        shim.arg(flag);
        let output = command::output(shim, Duration::from_secs(10));
        output.expect_code(0);
        output.stdout
    };
    let info = RuntimeInfo::parse_from_bytes(&call("-info")).expect("a RuntimeInfo");
    assert_eq!(info.name, paths::WASM);
    let version = String::from_utf8(call("-v")).expect("text");
    assert!(!info.version.version.is_empty());
    assert!(version.contains(&info.version.version), "{version}");
}

/// An installation that lost a part says which, to the person who runs `ctr`.
fn broken_zygote_says_why(case: &Case) {
    let folder = case.folder("broken");
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(paths::shim_tree()).arg(&folder);
    command::output(copy, Duration::from_secs(60)).success();
    let tree = folder.join(paths::shim_tree().file_name().expect("a name"));
    let program = tree.join("lib/containerd-shim-wasm/wasm-zygote");
    fs::write(&program, "#!/bin/no-such-interpreter\n").expect("a broken program");
    let options = Options {
        name: format!("{}-broken", case.containerd.version.name),
        shim_bin: tree.join("bin"),
        wrapper: Vec::new(),
        cri: None,
    };
    let containerd = Containerd::start(&case.containerd.version, &options);
    let output = Run::new(&containerd, "a").guest(["hello"]).output();
    assert_ne!(output.code, 0, "{}", output.describe());
    let text = output.stderr_text();
    assert!(text.contains("zygote"), "{}", output.describe());
    let has_reason = ["too short", "ELF", "No such file"]
        .iter()
        .any(|reason| text.contains(reason));
    assert!(has_reason, "{}", output.describe());
}
