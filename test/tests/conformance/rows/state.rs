use containerd_shim_protos::api::{ConnectRequest, ConnectResponse, StateResponse};

use super::Row;
use crate::subject::{Container, code, told};

pub const ROWS: &[Row] = &[
    Row {
        method: "State",
        what: "created",
        run: |subject| {
            let container = subject.container(&["sleep"]);
            let pid = container.create().expect("Create");
            let text = state(&container, pid);
            container.remove();
            text
        },
    },
    Row {
        method: "State",
        what: "running",
        run: |subject| {
            let container = subject.container(&["sleep"]);
            let pid = container.create().expect("Create");
            container.start().expect("Start");
            let text = state(&container, pid);
            container.remove();
            text
        },
    },
    Row {
        method: "State",
        what: "ended with code 7",
        run: |subject| {
            let container = subject.container(&["exit", "7"]);
            let pid = container.create().expect("Create");
            container.start().expect("Start");
            container.shim().wait(&container.id).expect("Wait");
            let text = state(&container, pid);
            container.remove();
            text
        },
    },
    Row {
        method: "State",
        what: "bundle and streams",
        run: |subject| {
            let container = subject.running();
            let text = told(container.shim().state(&container.id), |state| {
                let same = state.bundle == container.folder.to_string_lossy();
                format!(
                    "its bundle: {same}, no streams: {}",
                    state.stdout.is_empty()
                )
            });
            container.remove();
            text
        },
    },
    Row {
        method: "State",
        what: "an unknown id",
        run: |subject| code(subject.shim.state("unknown")),
    },
    Row {
        method: "State",
        what: "an unknown exec",
        run: |subject| {
            let container = subject.running();
            let text = code(container.state_of("unknown"));
            container.remove();
            text
        },
    },
    Row {
        method: "Connect",
        what: "a running container",
        run: |subject| {
            let container = subject.running();
            let connected = container.shim().connect(&container.id);
            let state = container.shim().state(&container.id).expect("State");
            container.remove();
            format!(
                "ok, its pid: {}, the shim's: {}",
                connected.task_pid == state.pid,
                connected.shim_pid > 1
            )
        },
    },
    Row {
        method: "Connect",
        what: "an unknown id",
        run: |subject| {
            let mut request = ConnectRequest::new();
            request.id = "unknown".into();
            let answer = subject.shim.call("Connect", &request);
            told(answer, |connected: ConnectResponse| {
                format!("ok, no pid: {}", connected.task_pid == 0)
            })
        },
    },
    Row {
        method: "Pids",
        what: "created",
        run: |subject| {
            let container = subject.container(&["sleep"]);
            container.create().expect("Create");
            let text = pids(&container);
            container.remove();
            text
        },
    },
    Row {
        method: "Pids",
        what: "running",
        run: |subject| {
            let container = subject.running();
            let text = pids(&container);
            container.remove();
            text
        },
    },
    Row {
        method: "Pids",
        what: "ended",
        run: |subject| {
            let container = subject.ended(0);
            let text = pids(&container);
            container.remove();
            text
        },
    },
    Row {
        method: "Pids",
        what: "an unknown id",
        run: |subject| code(subject.shim.pids("unknown")),
    },
];

fn state(container: &Container<'_>, pid: u32) -> String {
    told(container.shim().state(&container.id), |state| {
        let same = state.pid == pid;
        format!("{}, its pid: {same}{}", status(&state), exit(&state))
    })
}

pub fn status(state: &StateResponse) -> String {
    format!("{:?}", state.status.enum_value_or_default())
}

fn exit(state: &StateResponse) -> String {
    if status(state) == "STOPPED" {
        format!(", code {}", state.exit_status)
    } else {
        String::new()
    }
}

fn pids(container: &Container<'_>) -> String {
    let init = container.shim().state(&container.id).map(|state| state.pid);
    told(container.shim().pids(&container.id), |answer| {
        let all = answer.processes;
        let has_init = init.is_ok_and(|init| all.iter().any(|process| process.pid == init));
        format!("{}, with init: {has_init}", all.len())
    })
}
