//! What holds a guest back: capabilities, labels, files of ours.

use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};
use serde_json::{Value, json};
use shim_test::bundle;
use shim_test::case::Case;
use shim_test::guest_image::{GUEST, NATIVE};
use shim_test::run::Run;
use shim_test::{ctr, paths, processes};

crate::tests! {
    any: no_capabilities, no_capabilities_native, apparmor_profile_is_not_ignored, selinux_label_is_not_ignored;
    wasm: capabilities_as_after_exec, our_files_are_read_only, covered_view_is_refused
}

/// A run of this spec, changed by `change`.
fn run_of<'a>(
    case: &'a Case,
    suffix: &str,
    args: &[&str],
    change: impl FnOnce(&mut Value),
) -> Run<'a> {
    let folder = case.folder(suffix);
    let group = format!("/{}/{}", case.containerd.namespace(), case.id(suffix));
    let mut spec = bundle::spec(&bundle::root_fs(&folder), args, &group);
    change(&mut spec);
    let file = bundle::write(&folder, &spec).to_string_lossy().into_owned();
    case.run(suffix)
        .flags(["--config", &file])
        .default_program()
}

/// The capability sets of a container's init, as the kernel says them.
fn sets_of(case: &Case, suffix: &str, args: &[&str], capabilities: Option<Value>) -> [u64; 5] {
    let run = run_of(case, suffix, args, |spec| match capabilities {
        Some(sets) => spec["process"]["capabilities"] = sets,
        None => drop(
            spec["process"]
                .as_object_mut()
                .expect("a process")
                .remove("capabilities"),
        ),
    });
    let mut live = run.start();
    live.expect_line("ready");
    let (pid, _) = case.containerd.ctr.status(&live.id).expect("the task");
    let sets = ["CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"].map(|name| {
        let text = processes::status(pid, name).expect("a set");
        u64::from_str_radix(&text, 16).expect("hexadecimal")
    });
    case.containerd.ctr.kill(&live.id, "SIGKILL").expect_code(0);
    live.finish(ctr::LIMIT).expect_code(137);
    sets
}

/// Root without a list, or with empty lists, has no capability at all.
fn no_capabilities(case: &Case) {
    for (suffix, sets) in [("empty", Some(json!({}))), ("absent", None)] {
        assert_eq!(
            sets_of(case, suffix, &[GUEST, "sleep"], sets),
            [0; 5],
            "{suffix}"
        );
    }
}

fn no_capabilities_native(case: &Case) {
    for (suffix, sets) in [("empty", Some(json!({}))), ("absent", None)] {
        assert_eq!(
            sets_of(case, suffix, &[NATIVE, "sleep"], sets),
            [0; 5],
            "{suffix}"
        );
    }
}

/// What execve leaves root of: what is inheritable or in the bounding set.
fn capabilities_as_after_exec(case: &Case) {
    const KILL: u64 = 1 << 5;
    let sets = json!({
        "bounding": ["CAP_KILL"],
        "effective": ["CAP_KILL", "CAP_SYS_ADMIN"],
        "permitted": ["CAP_KILL", "CAP_SYS_ADMIN"],
    });
    let found = sets_of(case, "a", &[GUEST, "sleep"], Some(sets));
    assert_eq!(found, [KILL, KILL, 0, KILL, 0]);
}

/// This machine's kernel has no AppArmor: a container that is to be confined by
/// it must not run without.
fn apparmor_profile_is_not_ignored(case: &Case) {
    if Path::new("/sys/kernel/security/apparmor").exists() {
        return;
    }
    let output = run_of(case, "a", &[GUEST, "hello"], |spec| {
        spec["process"]["apparmorProfile"] = json!("a-profile");
    })
    .output();
    assert_ne!(output.code, 0, "{}", output.describe());
    let text = output.stderr_text().to_lowercase();
    assert!(text.contains("apparmor"), "{}", output.describe());
}

fn selinux_label_is_not_ignored(case: &Case) {
    if Path::new("/sys/fs/selinux/enforce").exists() {
        return;
    }
    for (suffix, part, field) in [
        ("a", "process", "selinuxLabel"),
        ("b", "linux", "mountLabel"),
    ] {
        let output = run_of(case, suffix, &[GUEST, "hello"], |spec| {
            spec[part][field] = json!("system_u:system_r:container_t:s0");
        })
        .output();
        // runc goes on without a mount label where there is no SELinux.
        if field == "selinuxLabel" || paths::runs_wasm() {
            assert_ne!(output.code, 0, "{}", output.describe());
            let text = output.stderr_text().to_lowercase();
            assert!(text.contains("selinux"), "{}", output.describe());
        }
    }
}

/// A process of the container that finds the guest's /proc/PID/exe can't write
/// to the host's file through it (CVE-2019-5736).
fn our_files_are_read_only(case: &Case) {
    let id = case.id("a");
    let pid = case.run("a").guest(["sleep"]).detach();
    let mapped = std::fs::read_to_string(processes::proc(pid).join("maps")).expect("maps");
    assert!(mapped.contains("/wasm-zygote"), "{mapped}");
    let file = statvfs(processes::proc(pid).join("exe")).expect("the program's file system");
    assert!(file.f_flag.contains(StatVfsMountFlags::RDONLY));
    case.containerd.ctr.remove(&id);
}

/// A view of the kernel that can't be unmounted is not left in a corner.
fn covered_view_is_refused(case: &Case) {
    let output = run_of(case, "a", &[GUEST, "hello"], |spec| {
        // Made by libcontainer, which mounts all that is asked for.
        spec["hooks"] = json!({});
        let mounts = spec["mounts"].as_array_mut().expect("mounts");
        mounts.push(json!({"destination": "/data/deep", "type": "proc", "source": "proc"}));
        mounts.push(json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs"}));
    })
    .output();
    assert_ne!(output.code, 0, "{}", output.describe());
    let text = output.stderr_text();
    assert!(text.contains("/data/deep"), "{}", output.describe());
}
