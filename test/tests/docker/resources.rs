//! Limits and figures.

use shim_test::docker::Case;
use shim_test::guest_image::NATIVE;

shim_test::tests! {
    any: limits, update, stats, top, out_of_memory;
    wasm: memory_of_a_module, limit_too_small
}

const MEMORY: [&str; 2] = ["memory.limit_in_bytes", "memory.max"];
const CPU: [&str; 2] = ["cpu.cfs_quota_us", "cpu.max"];

fn is_half_a_cpu(limit: Option<String>) -> bool {
    limit.is_some_and(|limit| ["50000", "50000 100000"].contains(&limit.as_str()))
}

fn limits(case: &Case) {
    let flags = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "33"];
    let name = case.detach(&flags, &["sleep"]);
    assert_eq!(case.limit(&name, &MEMORY).as_deref(), Some("67108864"));
    assert!(is_half_a_cpu(case.limit(&name, &CPU)));
    assert_eq!(case.limit(&name, &["pids.max"]).as_deref(), Some("33"));
    case.remove(&name);
}

fn update(case: &Case) {
    let name = case.detach(&["--memory", "64m"], &["sleep"]);
    let limits = ["--memory", "80m", "--memory-swap", "80m", "--cpus", "0.5"];
    case.call(&[&["update"], &limits[..], &[&name]].concat())
        .success();
    assert_eq!(case.limit(&name, &MEMORY).as_deref(), Some("83886080"));
    assert!(is_half_a_cpu(case.limit(&name, &CPU)));
    case.remove(&name);
}

fn stats(case: &Case) {
    let name = case.detach(&["--memory", "64m"], &["sleep"]);
    let format = "{{.MemUsage}} {{.PIDs}}";
    let text = case
        .call(&["stats", "--no-stream", "--format", format, &name])
        .success();
    // Such as "3.8MiB / 64MiB 1".
    let (used, rest) = text.trim().split_once(" / ").expect("usage and limit");
    assert_eq!(rest, "64MiB 1", "{text}");
    assert!(used != "0B" && used.ends_with("iB"), "{text}");
    case.remove(&name);
}

fn top(case: &Case) {
    let name = case.detach(&[], &["sleep"]);
    let table = case.call(&["top", &name, "-o", "pid,args"]).success();
    let rows: Vec<_> = table.lines().skip(1).collect();
    let [row] = rows[..] else { panic!("{table}") };
    let pid = case.inspect(&name, ".State.Pid");
    assert_eq!(
        row.split_whitespace().collect::<Vec<_>>(),
        [&pid, "/guest", "sleep"]
    );
    case.remove(&name);
}

fn out_of_memory(case: &Case) {
    let flags = [
        "--memory",
        "32m",
        "--memory-swap",
        "32m",
        "--entrypoint",
        NATIVE,
    ];
    case.run_and_keep(&flags, &["grow", "100"]).expect_code(137);
    let name = case.name("a");
    assert_eq!(case.inspect(&name, ".State.OOMKilled"), "true");
    case.remove(&name);
}

/// A module runs into its own limit before the kernel ends it.
fn memory_of_a_module(case: &Case) {
    let flags = ["--memory", "64m", "--memory-swap", "64m"];
    let text = case.run(&flags, &["fill"]).success();
    let filled = text
        .trim()
        .strip_prefix("filled ")
        .and_then(|count| count.parse().ok());
    assert!((20..64).contains(&filled.unwrap_or(0)), "{text}");
}

fn limit_too_small(case: &Case) {
    let output = case.run(&["--memory", "6m"], &["hello"]);
    output.expect_code(125);
    let text = output.stderr_text();
    assert!(
        text.contains("too small") && text.contains("it needs "),
        "{text}"
    );
}
