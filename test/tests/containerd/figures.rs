//! Metrics of the node for Prometheus, and traces in containerd's log, if they are
//! asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use shim_test::case::Case;
use shim_test::containerd::{Containerd, Options};
use shim_test::run::Run;
use shim_test::{paths, wait};

use crate::aot::{LIMIT, WAIT, guest_of};

crate::tests! {
    any: ;
    wasm: metrics_for_prometheus, traces_name_container_and_pod
}

/// A containerd that sees other settings of the node than the rest of the suite.
fn containerd_with(case: &Case, settings: &Path) -> Containerd {
    let script = format!(
        "mount --bind {} /etc/containerd-shim-wasm/config.toml && exec \"$0\" \"$@\"",
        settings.display()
    );
    let options = Options {
        name: format!("{}-{}", case.containerd.version.name, case.id("own")),
        shim_bin: paths::shim_tree().join("bin"),
        wrapper: ["unshare", "--mount", "sh", "-c", &script]
            .map(Into::into)
            .into(),
        cri: None,
    };
    Containerd::start(&case.containerd.version, &options)
}

/// All samples, in the order of the file.
fn samples(file: &Path) -> Vec<(String, f64)> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a sample");
            let series = series.strip_prefix("containerd_shim_wasm_").expect(series);
            (series.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

fn metrics_for_prometheus(case: &Case) {
    let folder = case.folder("metrics");
    let (settings, file) = (folder.join("config.toml"), folder.join("wasm.prom"));
    fs::write(&settings, format!("metrics = {file:?}\n")).expect("the settings");
    let root: PathBuf = guest_of(case, "counted");
    let root = root.to_string_lossy().into_owned();
    let containerd = containerd_with(case, &settings);
    let run = || Run::new(&containerd, "a").limit(LIMIT).flags(WAIT);
    for _ in 0..2 {
        let hello = run().flags(["--rootfs"]).image(&root);
        let output = hello.program("/guest", ["hello"]).output();
        assert_eq!(output.success(), "hello from the guest\n");
    }
    assert_ne!(run().program("/no/such", []).output().code, 0);
    let expected = [
        ("starts_total", 2.0),
        ("start_failures_total", 1.0),
        ("start_seconds_bucket{le=\"+Inf\"}", 2.0),
        ("start_seconds_count", 2.0),
        // The first waits for the code that is made.
        ("native_code_lookups_total{result=\"hit\"}", 2.0),
        ("native_code_lookups_total{result=\"miss\"}", 0.0),
        ("compiles_total{result=\"ok\"}", 1.0),
        ("compiles_total{result=\"failed\"}", 0.0),
    ];
    // Counted when containerd has its answer.
    wait::until_clean(Duration::from_secs(10), || {
        let samples = samples(&file);
        let value = |name: &str| {
            samples
                .iter()
                .find(|(series, _)| series == name)
                .map(|found| found.1)
        };
        let wrong = expected
            .iter()
            .find(|(name, wanted)| value(name) != Some(*wanted));
        wrong.map(|(name, wanted)| format!("{name}: {:?}, not {wanted}", value(name)))
    });
    let buckets: Vec<f64> = samples(&file)
        .into_iter()
        .filter(|(series, _)| series.contains("_bucket{"))
        .map(|(_, value)| value)
        .collect();
    assert!(buckets.is_sorted() && buckets.len() == 12, "{buckets:?}");
    let left: Vec<_> = fs::read_dir(&folder)
        .expect("the folder")
        .flatten()
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// A pod's shim logs for all its containers.
fn traces_name_container_and_pod(case: &Case) {
    let settings = case.folder("settings").join("config.toml");
    fs::write(&settings, "aot = \"off\"\ntrace = true\n").expect("the settings");
    let containerd = containerd_with(case, &settings);
    let run = |id: &str, kind: &str| Run::new(&containerd, id).in_pod("the-pod", kind);
    let mut pod = run("the-pod", "sandbox").guest(["sleep"]).start();
    pod.expect_line("ready");
    run("in-it", "container")
        .guest(["hello"])
        .output()
        .success();
    let log = containerd.folder().join("log");
    wait::until_clean(Duration::from_secs(10), || {
        let log = fs::read_to_string(&log).expect("containerd's log");
        let is_it =
            |line: &&str| line.contains("trace of end") && line.ends_with(" container=in-it");
        let line = log.lines().find(is_it).map(str::to_owned);
        match line {
            Some(line) => {
                assert!(
                    line.starts_with("time=\"") && line.contains(" level=info "),
                    "{line}"
                );
                assert!(line.contains(" id=the-pod container="), "{line}");
                None
            }
            None => Some("no trace".into()),
        }
    });
    containerd.ctr.kill("the-pod", "SIGKILL").expect_code(0);
    pod.finish(LIMIT).expect_code(137);
}
