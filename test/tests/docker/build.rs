//! `docker build` and `docker compose`.

use std::fs;
use std::path::Path;

use shim_test::docker::{Case, LIMIT};
use shim_test::{command, packer, paths};

shim_test::tests! {
    any: build, compose;
    wasm: load_of_wasm_oci, artifact_by_annotation
}

/// Builds an image of the guest, with more lines in its Dockerfile.
pub fn guest_with(case: &Case, folder: &Path, lines: &str) -> String {
    let (guest, platform) = if paths::runs_wasm() {
        ("guest.wasm", "wasi/wasm")
    } else {
        ("guest.native", "linux/amd64")
    };
    fs::copy(paths::guest(guest), folder.join("guest")).expect("the guest");
    let dockerfile =
        format!("FROM scratch\nWORKDIR /data\nCOPY guest /guest\nENTRYPOINT [\"/guest\"]\n{lines}");
    fs::write(folder.join("Dockerfile"), dockerfile).expect("a Dockerfile");
    let image = format!("localhost/{}", case.name("image"));
    let line = ["build", "--platform", platform, "--tag", &image];
    case.call(&[&line[..], &[&folder.to_string_lossy()]].concat())
        .success();
    image
}

fn build(case: &Case) {
    let image = guest_with(
        case,
        &case.folder("image"),
        "ENV BUILT=yes\nCMD [\"env\"]\n",
    );
    let mut line = case.run_line("a", &["--rm"]);
    line.push(image.clone());
    let text = case.live(&line).finish(LIMIT).success();
    assert!(text.contains("BUILT=yes"), "{text}");
    case.call(&["rmi", &image]).success();
}

fn load_of_wasm_oci(case: &Case) {
    let archive = case.folder("image").join("packed.tar");
    let image = format!("localhost/{}:1", case.name("image"));
    let flags = ["--tag", &image, "--env", "PACKED=yes", "--", "env"];
    packer::pack(&paths::guest("guest.wasm"), &archive, &flags);
    case.call(&["load", "--input", &archive.to_string_lossy()])
        .success();
    let mut line = case.run_line("a", &["--rm"]);
    line.push(image.clone());
    let text = case.live(&line).finish(LIMIT).success();
    assert!(text.contains("PACKED=yes"), "{text}");
    case.call(&["rmi", &image]).success();
}

/// Two services, one after the other's end, with a volume between them.
fn compose(case: &Case) {
    let folder = case.folder("project");
    let image = guest_with(case, &folder, "");
    let (runtime, name) = (paths::runtime(), case.name("project"));
    let service =
        format!("    image: {image}\n    runtime: {runtime}\n    volumes: [between:/between]\n");
    let text = format!(
        "services:\n  first:\n{service}    command: [write, /between/file, composed]\n  \
         second:\n{service}    command: [read, /between/file]\n    depends_on:\n      \
         first: {{condition: service_completed_successfully}}\n  \
         third:\n{service}    command: [sleep]\n    init: true\n\
         volumes:\n  between:\n"
    );
    fs::write(folder.join("compose.yaml"), text).expect("compose.yaml");
    let compose = |args: &[&str]| {
        let mut command = case.docker.command("docker");
        command
            .args(["compose", "--project-name", &name])
            .args(args);
        command.current_dir(&folder);
        command::output(command, LIMIT)
    };
    let up = compose(&["up", "--detach"]);
    let second = format!("{name}-second-1");
    let waited = case.call(&["wait", &second]);
    let logs = case.call(&["logs", &second]);
    let exec = compose(&[
        "exec",
        "--no-TTY",
        "third",
        "/guest",
        "read",
        "/between/file",
    ]);
    // Whatever happened, so that nothing is left.
    let down = compose(&["down", "--volumes"]);
    up.success();
    assert_eq!(waited.success(), "0\n");
    assert_eq!(logs.success(), "composed");
    assert_eq!(exec.success(), "composed");
    down.success();
    case.call(&["rmi", &image]).success();
}

/// Docker takes an artifact in, but makes containers of images alone.
fn artifact_by_annotation(case: &Case) {
    let archive = case.folder("image").join("packed.tar");
    let name = |tag| format!("localhost/{}:{tag}", case.name("image"));
    let (artifact, image) = (name("artifact"), name("image"));
    let load = |module: &str, flags: &[&str]| {
        packer::pack(&paths::guest(module), &archive, flags);
        case.call(&["load", "--input", &archive.to_string_lossy()])
            .success();
    };
    load("hello.wasm", &["--artifact", "--tag", &artifact]);
    load("guest.wasm", &["--tag", &image]);
    let annotation = format!("io.containerd.wasm.artifact={artifact}");
    let mut line = case.run_line("a", &["--rm", "--annotation", &annotation]);
    line.push(image.clone());
    let output = case.live(&line).finish(LIMIT);
    assert_eq!(output.success(), "hello from C");
    case.call(&["rmi", &artifact, &image]).success();
}
