use super::Row;
use super::state::status;
use crate::subject::{code, process, told};

pub const ROWS: &[Row] = &[
    Row {
        method: "Exec",
        what: "added, not started: State",
        run: |subject| {
            let container = subject.running();
            container.exec("x", &["exit", "3"]).expect("Exec");
            let text = told(container.state_of("x"), |state| {
                format!("{}, no pid: {}", status(&state), state.pid == 0)
            });
            container.remove();
            text
        },
    },
    Row {
        method: "Exec",
        what: "to its end",
        run: |subject| {
            let container = subject.running();
            container.exec("x", &["exit", "3"]).expect("Exec");
            let pid = container.start_exec("x").expect("Start").pid;
            let waited = container.wait_of("x").expect("Wait").exit_status;
            let state = container.state_of("x").expect("State");
            let deleted = container.delete_of("x").expect("Delete");
            let text = format!(
                "code {waited}, {}, deleted with its pid: {}, code {}",
                status(&state),
                deleted.pid == pid,
                deleted.exit_status
            );
            container.remove();
            text
        },
    },
    Row {
        method: "Exec",
        what: "an id that is taken",
        run: |subject| {
            let container = subject.running();
            container.exec("x", &["hello"]).expect("Exec");
            let text = code(container.exec("x", &["hello"]));
            container.remove();
            text
        },
    },
    Row {
        method: "Exec",
        what: "in a container that has ended",
        run: |subject| {
            let container = subject.ended(0);
            let text = match container.exec("x", &["hello"]) {
                Ok(_) => format!("ok, its Start {}", code(container.start_exec("x"))),
                Err((code, _)) => format!("{code:?}"),
            };
            container.remove();
            text
        },
    },
    Row {
        method: "Exec",
        what: "in an unknown container",
        run: |subject| {
            let mut container = subject.container(&["sleep"]);
            container.id = "unknown".into();
            code(container.exec("x", &["hello"]))
        },
    },
    Row {
        method: "Exec",
        what: "no such program: its Start",
        run: |subject| {
            let container = subject.running();
            let spec = process(&["/no/such/program"]).to_string();
            container.exec_spec("x", &spec).expect("Exec");
            let started = code(container.start_exec("x"));
            let deleted = code(container.delete_of("x"));
            container.remove();
            format!("{started}, its Delete {deleted}")
        },
    },
    Row {
        method: "Exec",
        what: "a description that is no JSON",
        run: |subject| {
            let container = subject.running();
            let text = match container.exec_spec("x", "no JSON") {
                Ok(_) => format!("ok, its Start {}", code(container.start_exec("x"))),
                Err((code, _)) => format!("{code:?}"),
            };
            container.remove();
            text
        },
    },
    Row {
        method: "Exec",
        what: "started twice",
        run: |subject| {
            let container = subject.running();
            container.exec("x", &["sleep"]).expect("Exec");
            container.start_exec("x").expect("Start");
            let text = code(container.start_exec("x"));
            container.remove();
            text
        },
    },
    Row {
        method: "Exec",
        what: "deleted while it runs",
        run: |subject| {
            let container = subject.running();
            container.exec("x", &["sleep"]).expect("Exec");
            container.start_exec("x").expect("Start");
            let text = code(container.delete_of("x"));
            container.remove();
            text
        },
    },
    Row {
        method: "Exec",
        what: "deleted before it is started",
        run: |subject| {
            let container = subject.running();
            container.exec("x", &["sleep"]).expect("Exec");
            let text = code(container.delete_of("x"));
            container.remove();
            text
        },
    },
    Row {
        method: "Exec",
        what: "killed",
        run: |subject| {
            let container = subject.running();
            container.exec("x", &["sleep"]).expect("Exec");
            container.start_exec("x").expect("Start");
            let killed = code(container.kill_of("x", 9, false));
            let waited = container.wait_of("x").expect("Wait").exit_status;
            let again = code(container.kill_of("x", 9, false));
            container.remove();
            format!("{killed}, code {waited}, again {again}")
        },
    },
    Row {
        method: "Exec",
        what: "killed before it is started",
        run: |subject| {
            let container = subject.running();
            container.exec("x", &["sleep"]).expect("Exec");
            let text = code(container.kill_of("x", 9, false));
            container.remove();
            text
        },
    },
    Row {
        method: "Exec",
        what: "when its container is killed",
        run: |subject| {
            let container = subject.running();
            container.exec("x", &["sleep"]).expect("Exec");
            container.start_exec("x").expect("Start");
            container.shim().kill(&container.id, 9).expect("Kill");
            let text = told(container.wait_of("x"), |exit| exit.exit_status.to_string());
            container.remove();
            format!("code {text}")
        },
    },
    Row {
        method: "Exec",
        what: "in Pids, with its id",
        run: |subject| {
            let container = subject.running();
            container.exec("x", &["sleep"]).expect("Exec");
            let pid = container.start_exec("x").expect("Start").pid;
            let text = told(container.shim().pids(&container.id), |answer| {
                let found = answer.processes.iter().find(|found| found.pid == pid);
                let named = found.is_some_and(|found| found.info.is_some());
                format!("{} processes, named: {named}", answer.processes.len())
            });
            container.remove();
            text
        },
    },
];
