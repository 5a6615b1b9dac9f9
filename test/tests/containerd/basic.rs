//! What a program is given: arguments, environment, working directory.

use shim_test::case::Case;
use shim_test::containerd::HOST_ENVIRONMENT;
use shim_test::guest_image::{self, GUEST};
use shim_test::paths;

crate::tests! {
    any: hello, default_program, args, argv0_through_path, argv0_relative, environment, working_directory, cwd_flag,
        exit_codes, id_used_again_at_once;
    wasm: hello_from_c, image_for_wasi, trap
}

fn hello(case: &Case) {
    let output = case.run("a").guest(["hello"]).output();
    assert_eq!(output.success(), "hello from the guest\n");
    assert_eq!(output.stderr_text(), "");
}

fn hello_from_c(case: &Case) {
    assert_eq!(
        case.run("a").program("/bin/hello-c", []).output().success(),
        "hello from C\n"
    );
}

fn image_for_wasi(case: &Case) {
    case.containerd.import(&guest_image::guest_for_wasi());
    let run = case
        .run("a")
        .image(guest_image::WASI)
        .flags(["--platform", "wasi/wasm"]);
    assert_eq!(
        run.guest(["hello"]).output().success(),
        "hello from the guest\n"
    );
}

fn default_program(case: &Case) {
    let output = case.run("a").default_program().output();
    assert_eq!(output.success(), "[/guest]\n[args]\n[from the image]\n");
}

fn args(case: &Case) {
    let args = [
        "two words",
        "",
        "ünïcode ✓ 漢字",
        "--flag",
        "-x=1",
        "$HOME",
        "'\"\\",
        "a\nb",
        "",
    ];
    let output = case
        .run("a")
        .guest(["args"].into_iter().chain(args))
        .output();
    let expected: String = [GUEST, "args"]
        .iter()
        .chain(&args)
        .map(|arg| format!("[{arg}]\n"))
        .collect();
    assert_eq!(output.success(), expected);
}

fn argv0_through_path(case: &Case) {
    let output = case.run("a").program("in-path", ["args"]).output();
    assert_eq!(output.success(), "[in-path]\n[args]\n");
}

fn argv0_relative(case: &Case) {
    // The image's working directory is /data.
    let output = case.run("a").program("../guest", ["args"]).output();
    assert_eq!(output.success(), "[../guest]\n[args]\n");
}

/// Exactly what image and command line say; nothing of containerd's own.
fn environment(case: &Case) {
    let run = case
        .run("a")
        .flags(["--env", "GREETING=hello wörld = x", "--env", "EMPTY="]);
    let output = run.guest(["env"]).output().success();
    for (name, _) in HOST_ENVIRONMENT.iter().filter(|(name, _)| *name != "HOME") {
        assert!(
            !output.contains(name),
            "{name} of the host reached the guest:\n{output}"
        );
    }
    let mut lines: Vec<&str> = output.lines().collect();
    if paths::runs_wasm() {
        assert!(lines.contains(&"PWD=/data"), "no PWD=/data:\n{output}");
    }
    // runc adds the home of /etc/passwd when there is no HOME; so may we.
    lines.retain(|line| !line.starts_with("PWD=") && *line != "HOME=/root");
    let expected = [
        "EMPTY=",
        "FROM_IMAGE=as it is",
        "GREETING=hello wörld = x",
        "PATH=/bin:/usr/bin",
    ];
    assert_eq!(lines, expected);
}

fn working_directory(case: &Case) {
    assert_eq!(
        case.run("a").guest(["read", "greeting"]).output().success(),
        "hello from the image\n"
    );
    // Not by chance: each round has other environment, so another heap.
    for round in 0..8 {
        let padding = format!("PADDING={}", "x".repeat(round * 41));
        assert_eq!(
            case.run("b")
                .flags(["--env", &padding])
                .guest(["read", "nested/inner"])
                .output()
                .success(),
            "inner\n",
            "round {round}"
        );
    }
}

fn cwd_flag(case: &Case) {
    let run = |id| case.run(id).flags(["--cwd", "/data/nested"]);
    assert_eq!(
        run("a").guest(["read", "inner"]).output().success(),
        "inner\n"
    );
    assert_eq!(
        run("b").guest(["read", "./inner"]).output().success(),
        "inner\n"
    );
    // What is absolute stays so, and what is not there is not found elsewhere.
    assert_eq!(
        run("c")
            .guest(["read", "/data/greeting"])
            .output()
            .success(),
        "hello from the image\n"
    );
    run("d").guest(["read", "greeting"]).output().expect_code(1);
    if paths::runs_wasm() {
        let environment = run("e").guest(["env"]).output().success();
        assert!(
            environment.lines().any(|line| line == "PWD=/data/nested"),
            "{environment}"
        );
    }
}

fn exit_codes(case: &Case) {
    for code in [0, 1, 42, 255] {
        let text = code.to_string();
        case.run(&text)
            .guest(["exit", &text])
            .output()
            .expect_code(code);
    }
}

fn trap(case: &Case) {
    let output = case.run("a").guest(["trap"]).output();
    output.expect_code(134);
    assert!(
        output.stderr_text().contains("unreachable"),
        "no reason: {}",
        output.describe()
    );
    assert_eq!(output.stdout_text(), "");
}

fn id_used_again_at_once(case: &Case) {
    for round in 0..5 {
        let text = round.to_string();
        case.run("same")
            .guest(["exit", &text])
            .output()
            .expect_code(round);
    }
}
