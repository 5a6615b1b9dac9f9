//! The figures behind `kubectl top` and autoscaling.

use std::ops::RangeInclusive;

use shim_test::cgroup;

use crate::harness::Case;

shim_test::tests! {
    any: container_stats, pod_stats;
    wasm:
}

/// What a cgroup has used of the CPU, in nanoseconds.
fn cpu(group: &str) -> u64 {
    let nanoseconds = cgroup::value(group, &["cpuacct.usage"]);
    let microseconds = || {
        let stat = cgroup::value(group, &["cpu.stat"])?;
        let usage = stat
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "))?;
        Some(usage.parse::<u64>().ok()? * 1000)
    };
    let found = nanoseconds
        .and_then(|text| text.parse().ok())
        .or_else(microseconds);
    found.unwrap_or_else(|| panic!("no use of the CPU in {group}"))
}

/// What a cgroup has in memory, files left out that can go.
fn memory(group: &str) -> u64 {
    let usage = cgroup::value(group, &["memory.usage_in_bytes", "memory.current"]);
    let stat = cgroup::value(group, &["memory.stat"]).expect("memory.stat");
    let names = ["total_inactive_file ", "inactive_file "];
    let line = |name| stat.lines().find_map(|line: &str| line.strip_prefix(name));
    let inactive = names.into_iter().find_map(line).expect("inactive_file");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    number(&usage.expect("memory")) - number(inactive)
}

fn within_a_tenth(of: u64) -> RangeInclusive<u64> {
    of - of / 10..=of + of / 10
}

fn container_stats(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["grow", "50"], |config| config.stdin = true);
    container.log().expect(&format!("grown {}\n", 50 << 20));
    let group = container.cgroup();
    let before = cpu(&group);
    let stats = container.stats();
    let after = cpu(&group);
    let attributes = stats.attributes.expect("attributes");
    assert_eq!(attributes.id, container.id);
    let used = stats
        .cpu
        .expect("cpu")
        .usage_core_nano_seconds
        .expect("usage")
        .value;
    assert!(
        (before..=after).contains(&used),
        "{used}, not {before} to {after}"
    );
    assert!(used > 1_000_000, "{used} ns");
    let memory_stats = stats.memory.expect("memory");
    let working_set = memory_stats.working_set_bytes.expect("working set").value;
    assert!(
        within_a_tenth(memory(&group)).contains(&working_set),
        "{working_set}"
    );
    assert!(
        working_set > 50 << 20 && working_set < 80 << 20,
        "{working_set}"
    );
    pod.remove();
}

/// The pod's are those of all its containers, the sandbox's among them.
fn pod_stats(case: &Case) {
    if case.server.containerd.version.name.starts_with("1.6.") {
        // It has not got them; kubelet reads cgroups itself.
        return;
    }
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["grow", "50"], |config| config.stdin = true);
    container.log().expect(&format!("grown {}\n", 50 << 20));
    let before = cpu(pod.cgroup());
    let stats = pod.stats();
    let after = cpu(pod.cgroup());
    let linux = stats.linux.expect("Linux's");
    let used = linux
        .cpu
        .expect("cpu")
        .usage_core_nano_seconds
        .expect("usage")
        .value;
    assert!(
        (before..=after).contains(&used),
        "{used}, not {before} to {after}"
    );
    let working_set = linux
        .memory
        .expect("memory")
        .working_set_bytes
        .expect("working set");
    assert!(within_a_tenth(memory(pod.cgroup())).contains(&working_set.value));
    let interface = linux
        .network
        .expect("network")
        .default_interface
        .expect("one");
    assert_eq!(interface.name, "eth0");
    let processes = linux
        .process
        .expect("processes")
        .process_count
        .expect("a count");
    // containerd leaves the sandbox's out.
    assert_eq!(processes.value, 1);
    let [inner] = &linux.containers[..] else {
        panic!("{:?}", linux.containers)
    };
    assert_eq!(
        inner.attributes.as_ref().expect("attributes").id,
        container.id
    );
    assert!(
        inner
            .memory
            .as_ref()
            .expect("memory")
            .working_set_bytes
            .is_some()
    );
    pod.remove();
}
