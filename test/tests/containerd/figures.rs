//! Metrics of the node for Prometheus, and traces in containerd's log, if they are
//! asked for.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use shim_test::case::Case;
use shim_test::containerd::{Containerd, Options};
use shim_test::run::Run;
use shim_test::{paths, wait};

use crate::aot::{LIMIT, WAIT, guest_of};

crate::tests! {
    any: ;
    wasm: metrics_for_prometheus, traces_name_container_and_pod, spans_for_a_collector
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

/// What a collector is sent: all is there when the shim has ended. One that is
/// gone harms no container.
fn spans_for_a_collector(case: &Case) {
    let collector = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = collector.local_addr().expect("its address");
    let settings = case.folder("spans").join("config.toml");
    let text = format!("aot = \"off\"\notlp = \"http://{address}\"\n");
    fs::write(&settings, text).expect("the settings");
    let containerd = containerd_with(case, &settings);
    let (requests, bodies) = mpsc::channel();
    let collecting = thread::spawn(move || {
        for client in collector.incoming() {
            match answer(client.expect("a client")) {
                Some(body) => requests.send(body).expect("who waits"),
                None => return,
            }
        }
    });
    let run = |id: &str| Run::new(&containerd, id).guest(["hello"]).output();
    run("a").success();
    let mut spans = Vec::new();
    while !spans.iter().any(|span: &Value| span["name"] == "delete") {
        let body: Value = bodies.recv_timeout(LIMIT).expect("spans");
        let resource = &body["resourceSpans"][0];
        let service = &resource["resource"]["attributes"][0]["value"]["stringValue"];
        assert_eq!(service, "containerd-shim-wasm");
        let sent = resource["scopeSpans"][0]["spans"].as_array();
        spans.extend(sent.expect("a list").iter().cloned());
    }
    let names: BTreeSet<_> = spans
        .iter()
        .filter_map(|span| span["name"].as_str())
        .collect();
    for name in ["create", "confined", "mounts", "start", "end", "delete"] {
        assert!(names.contains(name), "{name}: {names:?}");
    }
    let traces: BTreeSet<_> = spans
        .iter()
        .map(|span| span["traceId"].to_string())
        .collect();
    assert_eq!(traces.len(), 1, "{traces:?}");
    // A line that is no request ends it.
    let mut last = TcpStream::connect(address).expect("the collector");
    last.write_all(b"\r\n").expect("a line");
    collecting.join().expect("the collector");
    run("b").success();
}

/// Takes one request and answers it; returns its body. `None` for what is no
/// request.
fn answer(client: TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(client);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    if !line.starts_with("POST /v1/traces ") {
        return None;
    }
    let mut length = 0;
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line).expect("a header");
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    reader.get_mut().write_all(answer).expect("an answer");
    serde_json::from_slice(&body).ok()
}
