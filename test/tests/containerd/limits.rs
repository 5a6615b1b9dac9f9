//! Cgroups, their limits, and hooks.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use shim_test::bundle;
use shim_test::case::Case;
use shim_test::cgroup;
use shim_test::guest_image::GUEST;
use shim_test::task::Shim;
use shim_test::{ctr, leak};

crate::tests! {
    any: limits_of_flags, limits_of_spec, cgroup_gone_after_delete, hooks_run_once_in_order;
    wasm: cgroup_of_the_host_is_refused, cgroup_in_use_is_refused, without_a_cgroups_path
}

fn limits_of_flags(case: &Case) {
    let group = format!("/{}/{}", case.containerd.namespace(), case.id("custom"));
    let flags = [
        "--memory-limit",
        "134217728",
        "--cpus",
        "0.5",
        "--cgroup",
        &group,
    ];
    let mut live = case.run("a").flags(flags).guest(["sleep"]).start();
    live.expect_line("ready");
    assert_eq!(
        cgroup::value(&group, &["memory.limit_in_bytes", "memory.max"]).as_deref(),
        Some("134217728")
    );
    let cpu = cgroup::value(&group, &["cpu.cfs_quota_us", "cpu.max"]);
    assert!(
        ["50000", "50000 100000"]
            .map(Some)
            .contains(&cpu.as_deref()),
        "{cpu:?}"
    );
    case.containerd.ctr.kill(&live.id, "SIGKILL").expect_code(0);
    live.finish(ctr::LIMIT).expect_code(137);
    assert_eq!(cgroup::folders(&group), Vec::<std::path::PathBuf>::new());
}

fn limits_of_spec(case: &Case) {
    let folder = case.folder("bundle");
    let group = format!("/{}/{}", case.containerd.namespace(), case.id("a"));
    let mut spec = bundle::spec(&bundle::root_fs(&folder), &[GUEST, "sleep"], &group);
    spec["linux"]["resources"] = json!({"pids": {"limit": 33}, "cpu": {"shares": 512}});
    let file = bundle::write(&folder, &spec).to_string_lossy().into_owned();
    let mut live = case
        .run("a")
        .flags(["--config", &file])
        .default_program()
        .start();
    live.expect_line("ready");
    assert_eq!(cgroup::value(&group, &["pids.max"]).as_deref(), Some("33"));
    // 512 shares are weight 20 on v2 (the formula of the OCI runtimes).
    let shares = cgroup::value(&group, &["cpu.shares", "cpu.weight"]);
    assert!(
        ["512", "20"].map(Some).contains(&shares.as_deref()),
        "{shares:?}"
    );
    case.containerd.ctr.kill(&live.id, "SIGKILL").expect_code(0);
    live.finish(ctr::LIMIT).expect_code(137);
}

/// The guest is in its cgroup of each hierarchy with controllers, until Delete.
fn cgroup_gone_after_delete(case: &Case) {
    let id = case.id("a");
    let pid = case.run("a").guest(["sleep"]).detach();
    let group = format!("/{}/{id}", case.containerd.namespace());
    let folders = cgroup::folders(&group);
    assert!(!folders.is_empty(), "no cgroup {group}");
    for folder in &folders {
        let members = fs::read_to_string(folder.join("cgroup.procs")).expect("cgroup.procs");
        assert!(
            members.lines().any(|member| member == pid.to_string()),
            "{}: {members:?}",
            folder.display()
        );
    }
    case.containerd.ctr.kill(&id, "SIGKILL").expect_code(0);
    case.containerd.events().wait(&id, "/tasks/exit");
    case.containerd.ctr.delete_task(&id, 137);
    assert_eq!(cgroup::folders(&group), Vec::<std::path::PathBuf>::new());
    case.containerd.ctr.delete_container(&id).expect_code(0);
}

/// Each hook of the host's runs once, with the container's state on stdin.
fn hooks_run_once_in_order(case: &Case) {
    let folder = case.folder("bundle");
    let (log, script) = (folder.join("log"), folder.join("hook.sh"));
    let text = format!(
        "#!/bin/sh\nread -r state\necho \"$1 $state\" >>{}\n",
        log.display()
    );
    fs::write(&script, text).expect("the hook");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("its mode");
    let group = format!("/{}/{}", case.containerd.namespace(), case.id("a"));
    let mut spec = bundle::spec(&bundle::root_fs(&folder), &[GUEST, "hello"], &group);
    let hook = |name: &str| json!([{"path": script, "args": ["hook.sh", name], "timeout": 10}]);
    spec["hooks"] = json!({
        "prestart": hook("prestart"),
        "createRuntime": hook("createRuntime"),
        "poststart": hook("poststart"),
        "poststop": hook("poststop"),
    });
    let file = bundle::write(&folder, &spec).to_string_lossy().into_owned();
    let output = case
        .run("a")
        .flags(["--config", &file])
        .default_program()
        .output();
    assert_eq!(output.success(), "hello from the guest\n");
    let log = fs::read_to_string(&log).expect("the hooks' log");
    let names: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        names,
        ["prestart", "createRuntime", "poststart", "poststop"],
        "{log}"
    );
    let id = case.id("a");
    assert!(
        log.lines().all(|line| line.contains(&id)),
        "a state without the id {id}:\n{log}"
    );
}

/// A plain spec of a guest in this cgroup, written for `--config`.
fn config(case: &Case, suffix: &str, args: &[&str], group: Option<&str>) -> String {
    let folder = case.folder(suffix);
    let mut spec = bundle::spec(&bundle::root_fs(&folder), args, group.unwrap_or_default());
    if group.is_none() {
        let linux = spec["linux"].as_object_mut().expect("linux");
        linux.remove("cgroupsPath");
    }
    bundle::write(&folder, &spec).to_string_lossy().into_owned()
}

/// Deleting such a container would kill what is there: all of the machine.
fn cgroup_of_the_host_is_refused(case: &Case) {
    let above = format!("/{}/x/../..", case.containerd.namespace());
    for group in ["/", "//.", &above] {
        let file = config(case, "a", &[GUEST, "hello"], Some(group));
        let run = case.run("a").flags(["--config", &file]);
        let output = run.default_program().output();
        assert_ne!(output.code, 0, "{}", output.describe());
        let text = output.stderr_text();
        assert!(text.contains("linux.cgroupsPath"), "{}", output.describe());
        leak::assert_no_trace(case.containerd.namespace(), &case.id("a"));
    }
}

/// The one that was there first is not harmed by the other's failure.
fn cgroup_in_use_is_refused(case: &Case) {
    let group = format!("/{}/{}", case.containerd.namespace(), case.id("first"));
    let first = config(case, "first", &[GUEST, "cat"], Some(&group));
    let run = case.run("first").flags(["--config", &first]);
    let mut live = run.default_program().start();
    live.send("before\n").expect_line("before");
    let second = config(case, "second", &[GUEST, "hello"], Some(&group));
    let run = case.run("second").flags(["--config", &second]);
    let output = run.default_program().output();
    assert_ne!(output.code, 0, "{}", output.describe());
    let text = output.stderr_text();
    assert!(text.contains("processes already"), "{}", output.describe());
    leak::assert_no_trace(case.containerd.namespace(), &case.id("second"));
    live.send("after\n").expect_line("after").close_stdin();
    live.finish(ctr::LIMIT).expect_code(0);
}

fn without_a_cgroups_path(case: &Case) {
    let file = config(case, "a", &[GUEST, "sleep"], None);
    let run = case.run("a").flags(["--config", &file]);
    let mut live = run.default_program().start();
    live.expect_line("ready");
    let (pid, _) = case.containerd.ctr.status(&live.id).expect("the task");
    let processes = Shim::of(&case.containerd, &live.id).pids(&live.id);
    let pids: Vec<u32> = processes
        .expect("Pids")
        .processes
        .iter()
        .map(|process| process.pid)
        .collect();
    assert_eq!(pids, [pid]);
    let group = format!(":youki:{}", live.id);
    assert!(!cgroup::folders(&group).is_empty(), "no cgroup {group}");
    case.containerd.ctr.kill(&live.id, "SIGKILL").expect_code(0);
    live.finish(ctr::LIMIT).expect_code(137);
    assert_eq!(cgroup::folders(&group), Vec::<std::path::PathBuf>::new());
}
