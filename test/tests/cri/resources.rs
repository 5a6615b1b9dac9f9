//! Limits, set and changed, and what happens at them.

use k8s_cri::v1::{ContainerConfig, LinuxContainerResources};
use shim_test::cgroup;
use shim_test::guest_image::NATIVE;

use crate::harness::Case;

shim_test::tests! {
    any: limits, resize, out_of_memory;
    wasm: memory_of_a_module, limit_too_small
}

const MIB: i64 = 1 << 20;

/// What kubelet makes of half a CPU and so many mebibytes.
fn resources(mebibytes: i64) -> LinuxContainerResources {
    LinuxContainerResources {
        cpu_period: 100_000,
        cpu_quota: 50_000,
        cpu_shares: 512,
        memory_limit_in_bytes: mebibytes * MIB,
        memory_swap_limit_in_bytes: mebibytes * MIB,
        oom_score_adj: 900,
        ..Default::default()
    }
}

fn limited(config: &mut ContainerConfig, mebibytes: i64) {
    let linux = config.linux.as_mut().expect("set by the harness");
    linux.resources = Some(resources(mebibytes));
}

fn expect_limits(group: &str, memory: i64, [quota, shares]: [[&str; 2]; 2]) {
    let value = |files: &[&str]| cgroup::value(group, files).unwrap_or_default();
    let bytes = value(&["memory.limit_in_bytes", "memory.max"]);
    assert_eq!(bytes, (memory * MIB).to_string());
    let found = value(&["cpu.cfs_quota_us", "cpu.max"]);
    assert!(quota.contains(&found.as_str()), "{found}");
    let found = value(&["cpu.shares", "cpu.weight"]);
    assert!(shares.contains(&found.as_str()), "{found}");
}

fn limits(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |config| limited(config, 64));
    let half = [["50000", "50000 100000"], ["512", "20"]];
    expect_limits(&container.cgroup(), 64, half);
    let (pid, _) = case
        .server
        .containerd
        .ctr
        .status(&container.id)
        .expect("a task");
    let score = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj"));
    assert_eq!(score.expect("oom_score_adj").trim(), "900");
    pod.remove();
}

/// A resize in place: the container goes on.
fn resize(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |config| limited(config, 64));
    container.log().expect("ready\n");
    let task = case.server.containerd.ctr.status(&container.id);
    container.update(LinuxContainerResources {
        cpu_quota: 20_000,
        cpu_shares: 256,
        ..resources(80)
    });
    let less = [["20000", "20000 100000"], ["256", "10"]];
    expect_limits(&container.cgroup(), 80, less);
    assert_eq!(case.server.containerd.ctr.status(&container.id), task);
    pod.remove();
}

fn out_of_memory(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["grow", "200"], |config| {
        config.command = vec![NATIVE.into()];
        limited(config, 32);
    });
    container.expect_end(137, "OOMKilled");
    pod.remove();
}

/// A module runs into its own limit before the kernel ends it.
fn memory_of_a_module(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["fill"], |config| limited(config, 64));
    container.expect_end(0, "Completed");
    let said = container.log().text();
    let filled = said
        .trim()
        .strip_prefix("filled ")
        .and_then(|count| count.parse().ok());
    assert!((20..64).contains(&filled.unwrap_or(0)), "{said}");
    pod.remove();
}

fn limit_too_small(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.create("main", &["hello"], |config| limited(config, 6));
    let error = container.start().expect_err("too little memory");
    let said = error.message();
    assert!(
        said.contains("too small") && said.contains("it needs "),
        "{said}"
    );
    container.expect_end(128, "StartError");
    pod.remove();
}
