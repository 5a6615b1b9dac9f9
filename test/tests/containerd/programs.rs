//! Real programs, compiled by others, at real work.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use shim_test::case::Case;
use shim_test::command;
use shim_test::entry::Entry;
use shim_test::image::Image;
use shim_test::{paths, run::Run};

crate::tests! {
    any:;
    wasm: cpython, resvg, usvg_and_svg_flatten, graphviz
}

/// WasmEdge's interpreter takes half a minute to start CPython.
const LIMIT: Duration = Duration::from_secs(180);

/// Imports an image with this program alone, and returns its name.
fn image(case: &Case, program: &str) -> String {
    let name = format!("localhost/{}:1", program.trim_end_matches(".wasm"));
    let path = format!("/{program}");
    let entries = vec![
        Entry::copy(&path, 0o755, &paths::program(program)),
        Entry::folder("tmp", 0o1777),
    ];
    let image = Image::new(&name, entries, json!({"Entrypoint": [path]}));
    case.containerd.import(&image.for_platform("wasi", "wasm"));
    name
}

/// A container of that image with /inputs and /outputs.
fn run<'a>(case: &'a Case, id: &str, image: &str, inputs: &Path, outputs: &Path) -> Run<'a> {
    let run = case
        .run(id)
        .image(image)
        .flags(["--platform", "wasi/wasm"])
        .limit(LIMIT);
    run.mount(inputs, "/inputs", "rbind:ro")
        .mount(outputs, "/outputs", "rbind:rw")
}

/// A script reads a table, and writes sums and a digest; the machine's own
/// Python must come to the same.
fn cpython(case: &Case) {
    let image = image(case, "python.wasm");
    let (inputs, outputs, expected) = (
        case.folder("inputs"),
        case.folder("outputs"),
        case.folder("expected"),
    );
    fs::copy(paths::fixture("summary.py"), inputs.join("summary.py")).expect("the script");
    fs::copy(paths::fixture("cities.csv"), inputs.join("cities.csv")).expect("the table");
    let python = run(case, "a", &image, &inputs, &outputs).flags(["--env", "TITLE=cities"]);
    let output = python
        .program(
            "/python.wasm",
            ["/inputs/summary.py", "/inputs", "/outputs"],
        )
        .output();
    assert_eq!(
        output.success(),
        "6 rows of cities\n",
        "{}",
        output.stderr_text()
    );
    let mut native = Command::new("python3");
    native
        .arg(inputs.join("summary.py"))
        .args([&inputs, &expected])
        .env("TITLE", "cities");
    assert_eq!(
        command::output(native, LIMIT).success(),
        "6 rows of cities\n"
    );
    let read =
        |folder: &Path| fs::read_to_string(folder.join("summary.json")).expect("the summary");
    assert!(read(&expected).contains("sha256"));
    assert_eq!(read(&outputs), read(&expected));
}

fn resvg(case: &Case) {
    let image = image(case, "resvg.wasm");
    let (inputs, outputs) = (case.folder("inputs"), case.folder("outputs"));
    fs::copy(paths::fixture("drawing.svg"), inputs.join("drawing.svg")).expect("the drawing");
    let resvg = run(case, "a", &image, &inputs, &outputs);
    resvg
        .program(
            "/resvg.wasm",
            ["/inputs/drawing.svg", "/outputs/drawing.png"],
        )
        .output()
        .success();
    let png = fs::read(outputs.join("drawing.png")).expect("the picture");
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    assert_eq!(
        (png[16..20].to_vec(), png[20..24].to_vec()),
        (240u32.to_be_bytes().into(), 120u32.to_be_bytes().into())
    );
    same_bytes(&png, "expected/drawing.png");
}

/// Two containers in a row: one simplifies the drawing, the next makes Gerber
/// of it, the language of circuit board makers.
fn usvg_and_svg_flatten(case: &Case) {
    let (inputs, between, outputs) = (
        case.folder("inputs"),
        case.folder("between"),
        case.folder("outputs"),
    );
    fs::copy(paths::fixture("drawing.svg"), inputs.join("drawing.svg")).expect("the drawing");
    let usvg = run(case, "a", &image(case, "usvg.wasm"), &inputs, &between);
    usvg.program("/usvg.wasm", ["/inputs/drawing.svg", "/outputs/plain.svg"])
        .output()
        .success();
    // svg-flatten takes names of temporary files from /dev/urandom.
    let image = image(case, "svg-flatten.wasm");
    let flatten = run(case, "b", &image, &between, &outputs);
    let args = [
        "--format",
        "gerber",
        "--no-usvg",
        "/inputs/plain.svg",
        "/outputs/drawing.gbr",
    ];
    flatten
        .program("/svg-flatten.wasm", args)
        .output()
        .success();
    same_bytes(
        &fs::read(outputs.join("drawing.gbr")).expect("the Gerber file"),
        "expected/drawing.gbr",
    );
}

fn graphviz(case: &Case) {
    let image = image(case, "graphviz.wasm");
    let graph = fs::read(paths::fixture("example.dot")).expect("the graph");
    let dot = case
        .run("a")
        .image(&image)
        .flags(["--platform", "wasi/wasm"])
        .limit(LIMIT);
    let output = dot.program("/graphviz.wasm", []).stdin(graph).output();
    output.success();
    same_bytes(&output.stdout, "expected/example.svg");
    // The command tells when the input is no graph.
    let dot = case
        .run("b")
        .image(&image)
        .flags(["--platform", "wasi/wasm"])
        .limit(LIMIT);
    dot.program("/graphviz.wasm", [])
        .stdin("digraph {{")
        .output()
        .expect_code(3);
}

fn same_bytes(found: &[u8], expected: &str) {
    let expected = fs::read(paths::fixture(expected)).expect("a known good result");
    assert!(
        found == expected,
        "{} bytes, expected {}; they differ",
        found.len(),
        expected.len()
    );
}
