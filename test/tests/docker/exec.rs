//! `docker exec`, and what Docker does with it.

use shim_test::docker::{Case, LIMIT};
use shim_test::guest_image::{GUEST, NATIVE};

shim_test::tests! {
    any: exec_module, exec_native, exec_stdin, exec_detached, exec_not_found, exec_in_terminal, healthcheck;
    wasm:
}

fn exec_module(case: &Case) {
    let name = case.detach(&[], &["sleep"]);
    let flags = [
        "exec",
        "--env",
        "ADDED=a b",
        "--workdir",
        "/data/nested",
        &name,
    ];
    let run = |args: &[&str]| case.call(&[&flags[..], args].concat());
    let output = run(&[GUEST, "args", "two words"]);
    assert_eq!(output.success(), "[/guest]\n[args]\n[two words]\n");
    let environment = run(&[GUEST, "env"]).success();
    assert!(environment.contains("ADDED=a b\n"), "{environment}");
    assert_eq!(run(&[GUEST, "read", "inner"]).success(), "inner\n");
    run(&[GUEST, "exit", "42"]).expect_code(42);
    case.remove(&name);
}

/// As another user than the container's.
fn exec_native(case: &Case) {
    let name = case.detach(&["--user", "1234"], &["sleep"]);
    let own = case.call(&["exec", &name, NATIVE, "id"]).success();
    assert!(own.contains("uid=1234\n"), "{own}");
    let root = case
        .call(&["exec", "--user", "0", &name, NATIVE, "id"])
        .success();
    assert!(root.contains("uid=0\n"), "{root}");
    case.remove(&name);
}

fn exec_stdin(case: &Case) {
    let name = case.detach(&[], &["sleep"]);
    let mut live = case.follow(&["exec", "--interactive", &name, GUEST, "cat"]);
    live.send("one\n").expect_line("one").close_stdin();
    live.finish(LIMIT).expect_code(0);
    case.remove(&name);
}

/// It goes on without its client, and ends with the container.
fn exec_detached(case: &Case) {
    let name = case.detach(&[], &["sleep"]);
    case.call(&["exec", "--detach", &name, NATIVE, "sleep"])
        .success();
    let top = case.call(&["top", &name]).success();
    assert!(top.contains("/bin/native sleep"), "{top}");
    case.remove(&name);
}

fn exec_not_found(case: &Case) {
    let name = case.detach(&[], &["sleep"]);
    let output = case.call(&["exec", &name, "/no/such"]);
    // Docker 26 has 126 for all; later ones tell them apart.
    assert!([126, 127].contains(&output.code), "{}", output.describe());
    let said = output.stdout_text() + &output.stderr_text();
    assert!(said.contains("/no/such"), "{}", output.describe());
    case.remove(&name);
}

fn exec_in_terminal(case: &Case) {
    let name = case.detach(&[], &["sleep"]);
    let mut live = case.in_terminal(&format!("docker exec -it {name} {GUEST} talk"));
    live.expect_line("ready");
    // What is typed, and what the program says.
    live.send("typed\r")
        .expect_line("typed")
        .expect_line("typed");
    live.send("\x03");
    live.finish(LIMIT).expect_code(130);
    case.remove(&name);
}

fn healthcheck(case: &Case) {
    let folder = case.folder("image");
    let image = crate::build::guest_with(
        case,
        &folder,
        "HEALTHCHECK --interval=1s CMD [\"/guest\", \"read\", \"/data/healthy\"]\n",
    );
    let mut line = case.run_line("a", &["--detach"]);
    line.extend([image.clone(), "sleep".into()]);
    case.live(&line).finish(LIMIT).success();
    let name = case.name("a");
    let filter = format!("container={name}");
    let line = [
        "events",
        "--since",
        "1",
        "--filter",
        &filter,
        "--filter",
        "event=health_status",
    ];
    let mut health = case.follow(&[&line[..], &["--format", "{{.Action}}"]].concat());
    case.call(&["exec", &name, GUEST, "write", "/data/healthy", "yes"])
        .success();
    health.expect_line("health_status: healthy");
    case.remove(&name);
    case.call(&["rmi", &image]).success();
}
