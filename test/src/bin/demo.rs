//! `make demo`: CPython, compiled to WebAssembly by others, runs a script from
//! an OCI image in a private containerd, with the commands a user would type.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use serde_json::json;
use shim_test::containerd::{Containerd, Options};
use shim_test::entry::Entry;
use shim_test::image::Image;
use shim_test::{command, paths, sandbox, versions};

const IMAGE: &str = "localhost/python:3.12";

const SCRIPT: &str = r#"
import os, platform, sys

with open("/inputs/names.txt") as file:
    names = file.read().split()
print(f"CPython {platform.python_version()} on {sys.platform} greets {len(names)} guests")
with open("/outputs/greetings.txt", "w") as file:
    for name in sorted(names):
        print(f"{os.environ['GREETING']}, {name}!", file=file)
print("wrote /outputs/greetings.txt")
"#;

fn main() -> ExitCode {
    // Nothing of the demo stays: containerd, its state and mounts are private to it.
    sandbox::enter();
    let version = versions::newest();
    println!("Starting a private containerd {} ...", version.name);
    let options = Options {
        name: "demo".into(),
        shim_bin: paths::shim_tree().join("bin"),
        wrapper: Vec::new(),
    };
    let containerd = Containerd::bare(&version, &options);
    let folder = prepare(containerd.folder());
    let worked = show(&containerd, &folder);
    drop(containerd);
    if !worked {
        return ExitCode::FAILURE;
    }
    go_on(&options.shim_bin);
    ExitCode::SUCCESS
}

/// Makes the image's archive, the script and its input.
fn prepare(folder: &Path) -> PathBuf {
    let folder = folder.join("demo");
    for name in ["inputs", "outputs"] {
        fs::create_dir_all(folder.join(name)).expect("a folder of the demo");
    }
    fs::write(folder.join("inputs/hello.py"), SCRIPT).expect("the script");
    fs::write(folder.join("inputs/names.txt"), "Wasm Edge containerd\n").expect("the input");
    let entries = vec![Entry::copy(
        "/python.wasm",
        0o755,
        &paths::program("python.wasm"),
    )];
    let image = Image::new(IMAGE, entries, json!({"Entrypoint": ["/python.wasm"]}));
    image
        .for_platform("wasi", "wasm")
        .write(&folder.join("python.tar"));
    folder
}

/// Shows and runs the commands; whether all of them worked.
fn show(containerd: &Containerd, folder: &Path) -> bool {
    let mount = |name: &str, mode: &str| {
        format!(
            "type=bind,src={},dst=/{name},options=rbind:{mode}",
            folder.join(name).display()
        )
    };
    let archive = folder.join("python.tar").to_string_lossy().into_owned();
    let (inputs, outputs) = (mount("inputs", "ro"), mount("outputs", "rw"));
    let runtime = paths::runtime();
    let import = ["images", "import", "--platform", "wasi/wasm", &archive];
    let run = [
        "run",
        "--rm",
        "--runtime",
        &runtime,
        "--platform",
        "wasi/wasm",
        "--mount",
        &inputs,
        "--mount",
        &outputs,
        "--env",
        "GREETING=Hello",
        IMAGE,
        "demo",
        "/python.wasm",
        "/inputs/hello.py",
    ];
    println!("\nThe script, /inputs/hello.py:\n{SCRIPT}");
    if !call(containerd, &import) || !call(containerd, &run) {
        eprintln!("--- containerd's log\n{}", containerd.log_tail());
        return false;
    }
    let Ok(greetings) = fs::read_to_string(folder.join("outputs/greetings.txt")) else {
        eprintln!("the script left no /outputs/greetings.txt");
        return false;
    };
    println!("\nWhat it left in /outputs/greetings.txt:\n{greetings}");
    true
}

/// Prints a `ctr` command as one would type it, and runs it on our terminal.
fn call(containerd: &Containerd, args: &[&str]) -> bool {
    let mut typed = Command::new("ctr");
    typed.args(args);
    println!("$ {}", command::command_line(&typed));
    let started = Instant::now();
    let mut ctr = containerd.ctr.command();
    let status = ctr.args(args).stdin(Stdio::null()).status().expect("ctr");
    println!("  ({:.1} s)", started.elapsed().as_secs_f64());
    if !status.success() {
        eprintln!("ctr ended with {status}");
    }
    status.success()
}

fn go_on(shim_bin: &Path) {
    println!(
        "To go on with a containerd of your own:\n\
         \x20 make install                  # the shim, from {}\n\
         \x20 ctr images import --platform wasi/wasm IMAGE.tar\n\
         \x20 ctr run --rm --runtime {} --platform wasi/wasm IMAGE ID /program.wasm ARGS...\n\
         The README says how to build images and what Kubernetes and Docker need.",
        shim_bin.display(),
        paths::WASM
    );
}
