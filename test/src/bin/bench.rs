//! `make bench`: this shim beside runc, in one run on a private containerd. The
//! runs alternate, as the machine's speed drifts; what counts is the ratio.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use shim_test::containerd::{Containerd, Options};
use shim_test::demo::{self, IMAGE};
use shim_test::guest_image::{GUEST, NATIVE};
use shim_test::stats::{Samples, median};
use shim_test::{memory, paths, processes, sandbox, versions, wait};

const RUNC: &str = "io.containerd.runc.v2";
/// How often each container is started.
const ROUNDS: usize = 25;
/// How many containers idle at once.
const IDLE: usize = 20;
const COMPILED: [&str; 2] = ["--annotation", "io.containerd.wasm.aot=wait"];

fn main() -> ExitCode {
    sandbox::enter(sandbox::Network::Host);
    let version = versions::all().swap_remove(0);
    let options = Options {
        name: "bench".into(),
        shim_bin: paths::shim_tree().join("bin"),
        wrapper: Vec::new(),
        cri: None,
    };
    let containerd = Containerd::start(&version, &options);
    println!("containerd {}, {ROUNDS} rounds, medians", version.name);
    starts(&containerd);
    idle_memory(&containerd);
    python(&containerd);
    ExitCode::SUCCESS
}

/// One `ctr run --rm`, in milliseconds.
fn run(containerd: &Containerd, runtime: &str, flags: &[&str], program: &[&str]) -> f64 {
    let mut ctr = containerd.ctr.command();
    ctr.args(["run", "--rm", "--runtime", runtime]).args(flags);
    ctr.arg(shim_test::guest_image::NAME)
        .arg("bench")
        .args(program);
    let started = Instant::now();
    let output = ctr.output().expect("ctr");
    let took = started.elapsed();
    assert!(output.status.success(), "{output:?}");
    took.as_secs_f64() * 1000.0
}

fn starts(containerd: &Containerd) {
    let mut samples = [Samples::default(), Samples::default(), Samples::default()];
    // The first of each warms what is kept: the zygote, native code, caches.
    for round in 0..=ROUNDS {
        let times = [
            run(containerd, RUNC, &[], &[NATIVE, "hello"]),
            run(containerd, paths::WASM, &[], &[GUEST, "hello"]),
            run(containerd, paths::WASM, &COMPILED, &[GUEST, "hello"]),
        ];
        for (samples, time) in samples.iter_mut().zip(times) {
            if round > 0 {
                samples.push(time);
            }
        }
    }
    let [runc, interpreted, compiled] = samples.map(Samples::median);
    println!("`ctr run --rm` of hello: runc {runc:.1} ms");
    for (name, time) in [("interpreted", interpreted), ("native code", compiled)] {
        println!("  ours, {name}: {time:.1} ms, {:.2} of runc", time / runc);
    }
}

fn idle_memory(containerd: &Containerd) {
    for (runtime, flags, program) in [
        (RUNC, [].as_slice(), NATIVE),
        (paths::WASM, &COMPILED, GUEST),
    ] {
        let before = memory::total(&processes::all());
        let ids: Vec<String> = (0..IDLE).map(|number| format!("idle-{number}")).collect();
        for id in &ids {
            let mut ctr = containerd.ctr.command();
            ctr.args(["run", "--detach", "--null-io", "--runtime", runtime]);
            ctr.args(flags).arg(shim_test::guest_image::NAME);
            let output = ctr.args([id, program, "sleep"]).output().expect("ctr");
            assert!(output.status.success(), "{output:?}");
        }
        std::thread::sleep(Duration::from_secs(2));
        let each = memory::total(&processes::all()).saturating_sub(before);
        println!(
            "{IDLE} idle containers, {runtime}: {:.2} MB each (PSS, all processes)",
            each as f64 / IDLE as f64 / 1e6
        );
        for id in &ids {
            containerd.ctr.remove(id);
        }
    }
}

/// CPython's own small benchmark, compiled, when its code is there.
fn python(containerd: &Containerd) {
    let folder = demo::prepare();
    containerd
        .ctr
        .import(&folder.join("python.tar"), ("wasi", "wasm"));
    let script = include_str!("../../bench/bench.py");
    let once = || {
        let mut ctr = containerd.ctr.command();
        ctr.args([
            "run",
            "--rm",
            "--runtime",
            paths::WASM,
            "--platform",
            "wasi/wasm",
        ]);
        ctr.args(COMPILED)
            .args([IMAGE, "python", "/python.wasm", "-c", script]);
        let started = Instant::now();
        let output = ctr.output().expect("ctr");
        assert!(output.status.success(), "{output:?}");
        started.elapsed().as_secs_f64()
    };
    let first = once();
    let warm = median((0..5).map(|_| once()).collect());
    println!("CPython bench.py: {first:.1} s with the quick compilation, {warm:.2} s after it");
    await_compilers();
    let best = median((0..5).map(|_| once()).collect());
    println!("  {best:.2} s after the good compilation");
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
