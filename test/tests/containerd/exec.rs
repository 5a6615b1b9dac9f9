//! Processes that are added to a running container.

use std::time::Duration;

use shim_test::case::Case;
use shim_test::command::Output;
use shim_test::guest_image::{GUEST, NATIVE};
use shim_test::{processes, wait};

crate::tests! {
    any: exec_output_and_code, exec_native, exec_of_nothing, exec_is_killed_with_its_container, exec_in_pids, exec_events, exec_has_the_seccomp_filter;
    wasm: exec_module_in_native_container, exec_has_its_own_entrypoint
}

const LIMIT: Duration = Duration::from_secs(20);

fn exec(case: &Case, id: &str, exec_id: &str, command: &[&str]) -> Output {
    let mut line = vec!["tasks", "exec", "--exec-id", exec_id, id];
    line.extend(command);
    case.containerd.ctr.call(&line)
}

fn end(case: &Case, id: &str) {
    case.containerd.ctr.remove(id);
}

fn exec_output_and_code(case: &Case) {
    let id = case.id("a");
    case.run("a").guest(["sleep"]).detach();
    let output = exec(case, &id, "one", &[GUEST, "args", "two words"]);
    assert!(
        output.success().contains("two words"),
        "{}",
        output.describe()
    );
    exec(case, &id, "two", &[GUEST, "exit", "42"]).expect_code(42);
    // An id is free again when its process is deleted.
    exec(case, &id, "two", &[GUEST, "hello"]).expect_code(0);
    end(case, &id);
}

fn exec_native(case: &Case) {
    let id = case.id("a");
    case.run("a").guest(["sleep"]).detach();
    let output = exec(case, &id, "one", &[NATIVE, "hello"]);
    assert_eq!(output.success(), "hello from native code\n");
    exec(case, &id, "two", &[NATIVE, "exit", "3"]).expect_code(3);
    end(case, &id);
}

fn exec_of_nothing(case: &Case) {
    let id = case.id("a");
    case.run("a").guest(["sleep"]).detach();
    let output = exec(case, &id, "one", &["/no/such/program"]);
    assert_ne!(output.code, 0, "{}", output.describe());
    let text = output.stderr_text();
    assert!(text.contains("/no/such/program"), "{}", output.describe());
    assert!(
        text.to_lowercase().contains("no such file"),
        "{}",
        output.describe()
    );
    // The container goes on.
    exec(case, &id, "two", &[GUEST, "hello"]).expect_code(0);
    end(case, &id);
}

/// Starts an added process that stays; returns its pid.
fn staying(case: &Case, id: &str, exec_id: &str) -> u32 {
    // ctr leaves what it makes for a detached process.
    let fifos = case.folder("fifos").to_string_lossy().into_owned();
    let mut command = vec!["tasks", "exec", "--detach", "--fifo-dir", &fifos];
    command.extend(["--exec-id", exec_id, id, NATIVE, "sleep"]);
    case.containerd.ctr.call(&command).expect_code(0);
    let event = case.containerd.events().wait(id, "/tasks/exec-started");
    event.number("pid")
}

fn exec_is_killed_with_its_container(case: &Case) {
    let id = case.id("a");
    let init = case.run("a").guest(["sleep"]).detach();
    let pid = staying(case, &id, "one");
    assert!(pid > 1 && pid != init && processes::exists(pid));
    case.containerd.ctr.kill(&id, "SIGKILL").expect_code(0);
    assert!(wait::process_ends(pid, LIMIT));
    end(case, &id);
}

fn exec_in_pids(case: &Case) {
    let id = case.id("a");
    case.run("a").guest(["sleep"]).detach();
    let pid = staying(case, &id, "one");
    let table = case.containerd.ctr.call(&["tasks", "ps", &id]).success();
    let row = table
        .lines()
        .find(|line| line.starts_with(&pid.to_string()));
    let row = row.unwrap_or_else(|| panic!("no {pid}:\n{table}"));
    assert!(row.contains("one"), "{table}");
    let kill = ["tasks", "kill", "--exec-id", "one", "-s", "SIGKILL", &id];
    case.containerd.ctr.call(&kill).expect_code(0);
    assert!(wait::process_ends(pid, LIMIT));
    end(case, &id);
}

/// In the order of runc's shim, and the added process's end before init's.
fn exec_events(case: &Case) {
    let id = case.id("a");
    case.run("a").guest(["sleep"]).detach();
    staying(case, &id, "one");
    case.containerd.ctr.kill(&id, "SIGKILL").expect_code(0);
    end(case, &id);
    case.containerd.events().wait(&id, "/tasks/delete");
    let events = case.containerd.events().of(&id);
    let topics: Vec<&str> = events
        .iter()
        .map(|event| event.topic.as_str())
        .filter(|topic| topic.starts_with("/tasks/"))
        .collect();
    assert_eq!(
        topics,
        [
            "/tasks/create",
            "/tasks/start",
            "/tasks/exec-added",
            "/tasks/exec-started",
            "/tasks/exit",
            "/tasks/exit",
            "/tasks/delete"
        ]
    );
}

fn exec_module_in_native_container(case: &Case) {
    let id = case.id("a");
    case.run("a").program(NATIVE, ["sleep"]).detach();
    let output = exec(case, &id, "one", &[GUEST, "hello"]);
    assert_ne!(output.code, 0, "{}", output.describe());
    let text = output.stderr_text();
    assert!(text.contains("native program"), "{}", output.describe());
    exec(case, &id, "two", &[NATIVE, "hello"]).expect_code(0);
    end(case, &id);
}

fn exec_has_the_seccomp_filter(case: &Case) {
    for (suffix, flags, mode) in [("a", &["--seccomp"][..], 2), ("b", &[], 0)] {
        let id = case.id(suffix);
        let run = case.run(suffix).flags(flags.iter().copied());
        run.program(NATIVE, ["sleep"]).detach();
        let output = exec(case, &id, "one", &[NATIVE, "id"]).success();
        let line = format!("Seccomp:\t{mode}");
        assert!(output.lines().any(|other| other == line), "{output}");
        end(case, &id);
    }
}

/// The annotation is for the container's own program; a fragment counts.
fn exec_has_its_own_entrypoint(case: &Case) {
    let id = case.id("a");
    let annotation = "io.containerd.wasm.entrypoint=other";
    let run = case.run("a").flags(["--annotation", annotation]);
    let program = format!("{GUEST}#_start");
    run.program(&program, ["sleep"]).detach();
    let of = |exec_id, program| exec(case, &id, exec_id, &[program]).success();
    assert_eq!(of("one", "/job/both.wasm"), "main\n[/job/both.wasm]\n");
    assert_eq!(of("two", "/job/both.wasm#other"), "other\n");
    end(case, &id);
}
