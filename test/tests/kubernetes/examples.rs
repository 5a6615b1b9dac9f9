//! The Jobs in `deploy/examples`, applied as they are.

use std::fs;
use std::path::Path;

use shim_test::{packer, paths};

use crate::harness::Case;

shim_test::tests! {
    any: ;
    wasm: example_job, example_entrypoint, example_imports, example_attach
}

/// Where the Job's inputs are, and its outputs come to.
const SRV: &str = "/srv/job";

/// Packs a module as the pages say, and gives it to the node.
fn import(case: &Case, module: &Path, flags: &[&str]) {
    let archive = case.folder("archives").join("image.tar");
    packer::pack(module, &archive, flags);
    case.cluster.ctr().import(&archive, ("wasi", "wasm"));
}

/// Applies a file, and waits for the end of its Job.
fn complete(case: &Case, name: &str) -> String {
    apply(case, name);
    let job = format!("job/{name}");
    case.wait(&job, "condition=Complete");
    case.logs(&job)
}

fn apply(case: &Case, name: &str) {
    let file = paths::workspace().join(format!("deploy/examples/{name}.yaml"));
    let file = file.display().to_string();
    case.kubectl()
        .call(&["apply", "--filename", &file])
        .success();
}

/// The script of docs/from-bacalhau.md.
fn script() -> String {
    let page = paths::workspace().join("docs/from-bacalhau.md");
    let text = fs::read_to_string(page).expect("docs/from-bacalhau.md");
    let script = text
        .split_once("job.py\" <<'END'\n")
        .and_then(|(_, rest)| rest.split_once("END\n"));
    script.expect("a script in docs/from-bacalhau.md").0.into()
}

fn example_job(case: &Case) {
    let srv = Path::new(SRV);
    for folder in ["lists", "outputs", "report"] {
        fs::create_dir_all(srv.join(folder)).expect("a folder of the Job's");
    }
    fs::write(srv.join("lists/one"), "Wasm Edge\n").expect("an input");
    fs::write(srv.join("lists/two"), "containerd\n").expect("an input");
    fs::write(srv.join("limits.json"), "{\"names\": 2}\n").expect("an input");
    let file = case.folder("script").join("job.py");
    fs::write(&file, script()).expect("the script");
    let add = format!("{}:/job.py", file.display());
    let flags = ["--tag", "localhost/job:1", "--add", &add];
    import(case, &paths::program("python.wasm"), &flags);
    let said = complete(case, "bacalhau-job");
    assert_eq!(said, "inputs: Read-only file system\n");
    let read = |name: &str| fs::read_to_string(srv.join(name)).expect(name);
    assert_eq!(read("report/report.txt"), "Guests 2026: 2 of 3\n");
    assert_eq!(read("outputs/names.txt"), "Wasm\nEdge\n");
    fs::remove_dir_all(srv).expect("the Job's folders");
}

fn example_entrypoint(case: &Case) {
    let flags = ["--tag", "localhost/reactor:1", "--entrypoint", "greet"];
    import(case, &paths::guest("job/reactor.wasm"), &flags);
    assert_eq!(complete(case, "bacalhau-entrypoint"), "initialized\n");
}

fn example_imports(case: &Case) {
    let import_of = |name: &str| {
        let module = paths::guest(&format!("imports/{name}.wasm"));
        format!("{name}={}", module.display())
    };
    let (math, greeter) = (import_of("math"), import_of("greeter"));
    let flags = [
        "--tag",
        "localhost/app:1",
        "--import",
        &math,
        "--import",
        &greeter,
    ];
    import(case, &paths::guest("imports/app.wasm"), &flags);
    let said = complete(case, "bacalhau-imports");
    assert_eq!(said, "math\ngreeter 100\napp 103\nhello 142\n");
}

/// The data comes as the file says.
fn example_attach(case: &Case) {
    let flags = ["--tag", "localhost/python:binding"];
    import(case, &paths::program("python.wasm"), &flags);
    apply(case, "dapr-python");
    case.wait("job/dapr-python", "jsonpath={.status.ready}=1");
    let attach = ["attach", "--stdin", "job/dapr-python"];
    case.kubectl().feed(&attach, "salaboy").expect_code(0);
    case.wait("job/dapr-python", "condition=Complete");
    assert_eq!(case.logs("job/dapr-python"), "Hello, salaboy\n");
}
