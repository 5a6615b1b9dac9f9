use containerd_shim_protos::api::{PauseRequest, ResumeRequest};

use super::Row;
use super::kill::end;
use super::state::status;
use crate::subject::{Container, code, told};

pub const ROWS: &[Row] = &[
    Row {
        method: "Pause",
        what: "a running container",
        run: |subject| {
            let container = subject.running();
            let text = format!("{}, {}", pause(&container), state(&container));
            resume(&container);
            container.remove();
            text
        },
    },
    Row {
        method: "Pause",
        what: "twice",
        run: |subject| {
            let container = subject.running();
            pause(&container);
            let text = pause(&container);
            resume(&container);
            container.remove();
            text
        },
    },
    Row {
        method: "Pause",
        what: "created but not started",
        run: |subject| {
            let container = subject.container(&["sleep"]);
            container.create().expect("Create");
            let text = pause(&container);
            resume(&container);
            container.remove();
            text
        },
    },
    Row {
        method: "Pause",
        what: "a container that has ended",
        run: |subject| {
            let container = subject.ended(0);
            let text = pause(&container);
            container.remove();
            text
        },
    },
    Row {
        method: "Pause",
        what: "SIGKILL while paused",
        run: |subject| {
            let container = subject.running();
            pause(&container);
            let killed = code(container.shim().kill(&container.id, 9));
            let text = format!("{killed}, {}", end(&container));
            container.remove();
            text
        },
    },
    Row {
        method: "Pause",
        what: "Exec while paused",
        run: |subject| {
            let container = subject.running();
            pause(&container);
            let text = match container.exec("x", &["hello"]) {
                Ok(_) => format!("ok, its Start {}", code(container.start_exec("x"))),
                Err((code, _)) => format!("{code:?}"),
            };
            resume(&container);
            container.remove();
            text
        },
    },
    Row {
        method: "Pause",
        what: "an unknown id",
        run: |subject| {
            let mut container = subject.container(&["sleep"]);
            container.id = "unknown".into();
            pause(&container)
        },
    },
    Row {
        method: "Resume",
        what: "a paused container",
        run: |subject| {
            let container = subject.running();
            pause(&container);
            let text = format!("{}, {}", resume(&container), state(&container));
            container.remove();
            text
        },
    },
    Row {
        method: "Resume",
        what: "a container that is not paused",
        run: |subject| {
            let container = subject.running();
            let text = resume(&container);
            container.remove();
            text
        },
    },
    Row {
        method: "Resume",
        what: "an unknown id",
        run: |subject| {
            let mut container = subject.container(&["sleep"]);
            container.id = "unknown".into();
            resume(&container)
        },
    },
];

fn pause(container: &Container<'_>) -> String {
    let mut request = PauseRequest::new();
    request.id.clone_from(&container.id);
    code(container.call("Pause", &request))
}

fn resume(container: &Container<'_>) -> String {
    let mut request = ResumeRequest::new();
    request.id.clone_from(&container.id);
    code(container.call("Resume", &request))
}

fn state(container: &Container<'_>) -> String {
    told(container.shim().state(&container.id), |state| {
        status(&state)
    })
}
