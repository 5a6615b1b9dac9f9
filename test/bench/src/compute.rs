//! Work for a CPU: small kernels in C, native and as modules, resvg, and CPython.

use std::time::{Duration, Instant};

use serde_json::json;
use shim_test::containerd::Containerd;
use shim_test::demo;
use shim_test::entry::Entry;
use shim_test::image::Image;
use shim_test::stats::median;
use shim_test::{paths, processes, wait};

use crate::report::Report;

const KERNELS: &str = "localhost/kernels:1";
const RESVG: &str = "localhost/resvg:1";
const ROUNDS: usize = 5;
const COMPILED: &str = "io.containerd.wasm.aot=wait";

pub fn measure(containerd: &Containerd, report: &mut Report) {
    let built = paths::workspace().join("target/bench");
    let entries = ["kernels.native", "kernels.wasm"]
        .map(|name| Entry::copy(&format!("/{name}"), 0o755, &built.join(name)));
    containerd.import(&Image::new(KERNELS, entries.to_vec(), json!({})));
    for kernel in ["fib", "sha256", "matrix"] {
        let native = || {
            kernel_time(
                containerd,
                "io.containerd.runc.v2",
                "/kernels.native",
                kernel,
            )
        };
        let module = || kernel_time(containerd, paths::WASM, "/kernels.wasm", kernel);
        // The first one compiles.
        module();
        let times = |once: &dyn Fn() -> f64| median((0..ROUNDS).map(|_| once()).collect());
        let values = vec![("runc", times(&native)), ("ours", times(&module))];
        report.add(&format!("{kernel} in C"), "ms", values);
    }
    resvg(containerd, report);
    python(containerd, report);
}

/// A chart drawn large by resvg, `ctr run` as a whole.
fn resvg(containerd: &Containerd, report: &mut Report) {
    let root = paths::workspace();
    let (built, chart) = (root.join("target/bench"), root.join("docs/figures.svg"));
    let entries = vec![
        Entry::copy("/resvg.native", 0o755, &built.join("resvg.native")),
        Entry::copy("/resvg.wasm", 0o755, &built.join("resvg.wasm")),
        Entry::copy("/chart.svg", 0o644, &chart),
    ];
    containerd.import(&Image::new(RESVG, entries, json!({})));
    let draw = |runtime: &str, program: &str| {
        let mut ctr = containerd.ctr.command();
        ctr.args(["run", "--rm", "--runtime", runtime]);
        ctr.args(["--annotation", COMPILED, RESVG, "draw", program]);
        ctr.args(["--zoom", "4", "/chart.svg", "/chart.png"]);
        let begin = Instant::now();
        let output = ctr.output().expect("ctr");
        assert!(output.status.success(), "{output:?}");
        begin.elapsed().as_secs_f64() * 1000.0
    };
    let native = || draw("io.containerd.runc.v2", "/resvg.native");
    let module = || draw(paths::WASM, "/resvg.wasm");
    // The first one compiles, quickly at first.
    module();
    await_compilers();
    let times = |once: &dyn Fn() -> f64| median((0..ROUNDS).map(|_| once()).collect());
    let values = vec![("runc", times(&native)), ("ours", times(&module))];
    report.add("resvg, ctr run", "ms", values);
}

/// What the kernel itself says that it took.
fn kernel_time(containerd: &Containerd, runtime: &str, program: &str, kernel: &str) -> f64 {
    let mut ctr = containerd.ctr.command();
    ctr.args([
        "run",
        "--rm",
        "--runtime",
        runtime,
        "--annotation",
        COMPILED,
    ]);
    let output = ctr.args([KERNELS, "kernel", program, kernel]).output();
    let output = output.expect("ctr");
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    first.unwrap_or_else(|| panic!("{output:?}"))
}

/// CPython's own small benchmark, `ctr run` as a whole.
fn python(containerd: &Containerd, report: &mut Report) {
    let folder = demo::prepare();
    containerd
        .ctr
        .import(&folder.join("python.tar"), ("wasi", "wasm"));
    let run = |policy: &str| {
        let mut ctr = containerd.ctr.command();
        ctr.args([
            "run",
            "--rm",
            "--runtime",
            paths::WASM,
            "--platform",
            "wasi/wasm",
        ]);
        ctr.args(["--annotation", &format!("io.containerd.wasm.aot={policy}")]);
        let script = include_str!("../bench.py");
        ctr.args([demo::IMAGE, "python", "/python.wasm", "-c", script]);
        let begin = Instant::now();
        let output = ctr.output().expect("ctr");
        assert!(output.status.success(), "{output:?}");
        begin.elapsed().as_secs_f64()
    };
    let interpreted = run("off");
    let never_seen = run("background");
    await_compilers();
    run("wait");
    let warm = median((0..ROUNDS).map(|_| run("wait")).collect());
    let values = vec![
        ("interpreted", interpreted),
        ("never seen", never_seen),
        ("native code", warm),
    ];
    report.add("CPython bench.py, ctr run", "s", values);
}

/// The good code is made after the quick, by a process of its own.
fn await_compilers() {
    wait::until_clean(Duration::from_secs(900), || {
        let all = processes::all();
        let compiler = all
            .into_iter()
            .find(|process| process.command_line.contains("wasm-zygote compile"));
        compiler.map(|compiler| compiler.command_line)
    });
}
