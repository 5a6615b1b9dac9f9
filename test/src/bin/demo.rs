//! `make demo`: CPython, compiled to WebAssembly by others, runs a script from
//! an OCI image in a private containerd, with the commands a user would type.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use shim_test::containerd::{Containerd, Options};
use shim_test::demo::{self, IMAGE, SCRIPT};
use shim_test::{command, paths, sandbox, versions};

fn main() -> ExitCode {
    // Nothing of the demo stays: containerd, its state and mounts are private to it.
    sandbox::enter(sandbox::Network::Host);
    let version = versions::newest();
    println!("Starting a private containerd {} ...", version.name);
    let options = Options {
        name: "demo".into(),
        shim_bin: paths::shim_tree().join("bin"),
        wrapper: Vec::new(),
        cri: None,
    };
    let containerd = Containerd::bare(&version, &options);
    let folder = demo::prepare();
    let worked = show(&containerd, &folder);
    drop(containerd);
    if !worked {
        return ExitCode::FAILURE;
    }
    go_on(&options.shim_bin);
    ExitCode::SUCCESS
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
        "The image, the script and what it left are in target/demo. To go on with a\n\
         containerd of your own, install the shim (make install, from {}) and\n\
         follow README.md.",
        shim_bin.display(),
    );
}
