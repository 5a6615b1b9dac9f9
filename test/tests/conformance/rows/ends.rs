use super::Row;
use crate::subject::{code, told};

pub const ROWS: &[Row] = &[
    Row {
        method: "Wait",
        what: "codes 0, 7, 255",
        run: |subject| {
            let codes = [0, 7, 255].map(|code| {
                let container = subject.ended(code);
                let waited = container.shim().wait(&container.id);
                let text = told(waited, |exit| {
                    format!(
                        "{} at a time: {}",
                        exit.exit_status,
                        exit.exited_at.is_some()
                    )
                });
                container.remove();
                text
            });
            codes.join(", ")
        },
    },
    Row {
        method: "Wait",
        what: "an abort (a trap in WebAssembly)",
        run: |subject| {
            let container = subject.container(&["trap"]);
            container.create().expect("Create");
            container.start().expect("Start");
            let waited = container.shim().wait(&container.id);
            let text = told(waited, |exit| exit.exit_status.to_string());
            container.remove();
            text
        },
    },
    Row {
        method: "Wait",
        what: "an unknown id",
        run: |subject| code(subject.shim.wait("unknown")),
    },
    Row {
        method: "Wait",
        what: "an unknown exec",
        run: |subject| {
            let container = subject.running();
            let text = code(container.wait_of("unknown"));
            container.remove();
            text
        },
    },
    Row {
        method: "Delete",
        what: "ended with code 7",
        run: |subject| {
            let container = subject.ended(7);
            let pid = container.shim().state(&container.id).expect("State").pid;
            told(container.shim().delete(&container.id), |deleted| {
                format!(
                    "ok, code {}, its pid: {}",
                    deleted.exit_status,
                    deleted.pid == pid
                )
            })
        },
    },
    Row {
        method: "Delete",
        what: "a running container",
        run: |subject| {
            let container = subject.running();
            let text = code(container.shim().delete(&container.id));
            container.remove();
            text
        },
    },
    Row {
        method: "Delete",
        what: "created but not started",
        run: |subject| {
            let container = subject.container(&["sleep"]);
            container.create().expect("Create");
            let text = code(container.shim().delete(&container.id));
            container.remove();
            text
        },
    },
    Row {
        method: "Delete",
        what: "twice",
        run: |subject| {
            let container = subject.ended(0);
            container.shim().delete(&container.id).expect("Delete");
            code(container.shim().delete(&container.id))
        },
    },
    Row {
        method: "Delete",
        what: "an unknown id",
        run: |subject| code(subject.shim.delete("unknown")),
    },
    Row {
        method: "Shutdown",
        what: "while there is a container",
        run: |subject| {
            let answer = code(subject.shim.shutdown(&subject.host, false));
            let state = code(subject.shim.state(&subject.host));
            format!("{answer}, which goes on: {state}")
        },
    },
];
