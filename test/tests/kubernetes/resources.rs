//! Limits, resizing in place, and what `kubectl top` is made of.

use serde_json::{Value, json};
use shim_test::{cgroup, wait};

use crate::harness::{Case, pod};

shim_test::tests! {
    any: limits_and_resize, summary;
    wasm:
}

/// More than kubelet takes to tell new figures.
const FIGURES_LIMIT: std::time::Duration = std::time::Duration::from_secs(90);

/// The cgroup of the container `main`, from a hierarchy's root.
fn group(case: &Case, pod: &str) -> String {
    let status = case.status(pod, "main");
    let id = status["containerID"].as_str().expect("an id");
    let id = id.trim_start_matches("containerd://").to_owned();
    let all = cgroup::below(&case.cluster.group);
    let found = all.iter().find(|folder| folder.ends_with(&id));
    let path = found.unwrap_or_else(|| panic!("no cgroup of {id}"));
    let path = path.to_str().expect("text");
    path[path.find(&case.cluster.group).expect("ours")..].to_owned()
}

fn value(group: &str, files: &[&str]) -> u64 {
    let text = cgroup::value(group, files).unwrap_or_else(|| panic!("no {files:?} in {group}"));
    text.parse().unwrap_or_else(|_| panic!("{files:?}: {text}"))
}

fn memory_limit(group: &str) -> u64 {
    value(group, &["memory.limit_in_bytes", "memory.max"])
}

fn limits_and_resize(case: &Case) {
    let resources = |cpu: &str, memory: &str| json!({"limits": {"cpu": cpu, "memory": memory}});
    let container = json!({"resources": resources("500m", "64Mi")});
    case.apply(&pod("a", &["sleep"], container, json!({})));
    case.wait("pod/a", "condition=Ready");
    let group = group(case, "a");
    assert_eq!(memory_limit(&group), 64 << 20);
    assert_eq!(value(&group, &["cpu.cfs_quota_us"]), 50_000);
    let before = case.status("a", "main");
    let wanted = json!({"requests": {"cpu": "200m", "memory": "80Mi"},
        "limits": {"cpu": "200m", "memory": "80Mi"}});
    let patch = json!({"spec": {"containers": [{"name": "main", "resources": wanted}]}});
    let patch = patch.to_string();
    let args = ["patch", "pod/a", "--subresource=resize", "--patch", &patch];
    case.kubectl().call(&args).success();
    let memory = "jsonpath={.status.containerStatuses[0].resources.limits.memory}=80Mi";
    case.wait("pod/a", memory);
    let cpu = "jsonpath={.status.containerStatuses[0].resources.limits.cpu}=200m";
    case.wait("pod/a", cpu);
    assert_eq!(memory_limit(&group), 80 << 20);
    assert_eq!(value(&group, &["cpu.cfs_quota_us"]), 20_000);
    // The container goes on.
    let after = case.status("a", "main");
    for field in ["containerID", "restartCount"] {
        assert_eq!(before[field], after[field], "{after}");
    }
}

/// What kubelet tells of a pod's container.
fn figures(case: &Case, pod: &str) -> Option<Value> {
    let path = "/api/v1/nodes/node/proxy/stats/summary";
    let text = case.kubectl().call(&["get", "--raw", path]).success();
    let summary: Value = serde_json::from_str(&text).expect("JSON of kubelet");
    let pods = summary["pods"].as_array()?;
    let found = pods.iter().find(|found| {
        found["podRef"]["name"] == *pod && found["podRef"]["namespace"] == *case.namespace()
    })?;
    found["containers"]
        .as_array()?
        .iter()
        .find(|found| found["name"] == "main")
        .cloned()
}

/// What kubelet tells those who collect for `kubectl top`.
fn top(case: &Case, metric: &str, pod: &str) -> f64 {
    let path = "/api/v1/nodes/node/proxy/metrics/resource";
    let text = case.kubectl().call(&["get", "--raw", path]).success();
    let namespace = case.namespace();
    let series = format!(r#"{metric}{{container="main",namespace="{namespace}",pod="{pod}"}} "#);
    let line = text.lines().find_map(|line| line.strip_prefix(&series));
    let value = line.and_then(|rest| rest.split(' ').next()?.parse().ok());
    value.unwrap_or_else(|| panic!("no {series} in {text}"))
}

fn within_a_tenth(found: u64, of: u64) -> bool {
    found.abs_diff(of) * 10 <= of
}

fn summary(case: &Case) {
    let container = json!({"stdin": true});
    case.apply(&pod("a", &["grow", "50"], container, json!({})));
    case.wait("pod/a", "condition=Ready");
    let group = group(case, "a");
    wait::until_clean(FIGURES_LIMIT, || {
        let Some(found) = figures(case, "a") else {
            return Some("a pod without figures".into());
        };
        let number = |of: &Value| of.as_u64().unwrap_or(0);
        let memory = number(&found["memory"]["usageBytes"]);
        let used = number(&found["cpu"]["usageCoreNanoSeconds"]);
        let real_memory = value(&group, &["memory.usage_in_bytes", "memory.current"]);
        let real_use = value(&group, &["cpuacct.usage"]);
        let right = within_a_tenth(memory, real_memory)
            && within_a_tenth(used, real_use)
            && memory > 50 << 20;
        (!right).then(|| format!("{memory} for {real_memory}, {used} for {real_use}: {found}"))
    });
    let (memory, real) = (
        top(case, "container_memory_working_set_bytes", "a"),
        value(&group, &["memory.usage_in_bytes", "memory.current"]),
    );
    assert!(
        (memory / real as f64 - 1.0).abs() <= 0.1,
        "{memory} for {real}"
    );
    let (used, real) = (
        top(case, "container_cpu_usage_seconds_total", "a") * 1e9,
        value(&group, &["cpuacct.usage"]),
    );
    assert!((used / real as f64 - 1.0).abs() <= 0.1, "{used} for {real}");
}
