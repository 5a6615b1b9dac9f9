use std::fs;

use containerd_shim_protos::api::{CreateTaskRequest, CreateTaskResponse};
use serde_json::json;
use shim_test::task::Answer;

use super::Row;
use crate::subject::{Container, code, told};

pub const ROWS: &[Row] = &[
    Row {
        method: "Create",
        what: "a container",
        run: |subject| {
            let container = subject.container(&["sleep"]);
            let text = told(container.create(), |pid| format!("ok, a pid: {}", pid > 1));
            container.remove();
            text
        },
    },
    Row {
        method: "Create",
        what: "an id that is taken",
        run: |subject| {
            let container = subject.running();
            let text = code(container.create());
            container.remove();
            text
        },
    },
    Row {
        method: "Create",
        what: "no such bundle",
        run: |subject| {
            let container = subject.container(&["sleep"]);
            fs::remove_dir_all(&container.folder).expect("the bundle");
            code(container.create())
        },
    },
    Row {
        method: "Create",
        what: "no such root",
        run: |subject| {
            let container = subject.container(&["sleep"]);
            fs::remove_dir_all(container.folder.join("rootfs")).expect("the root");
            code(container.create())
        },
    },
    Row {
        method: "Create",
        what: "no such program",
        run: |subject| {
            let container = subject.container_of(&[], |spec| {
                spec["process"]["args"] = json!(["/no/such/program"]);
            });
            let text = code(container.create());
            container.remove();
            text
        },
    },
    Row {
        method: "Create",
        what: "a hook that fails",
        run: |subject| {
            let container = subject.container_of(&["sleep"], |spec| {
                spec["hooks"] =
                    json!({"createRuntime": [{"path": "/bin/false", "args": ["false"]}]});
            });
            let text = code(container.create());
            container.remove();
            text
        },
    },
    Row {
        method: "Create",
        what: "from a checkpoint that is not there",
        run: |subject| {
            let container = subject.container(&["sleep"]);
            let text = code(create_from(&container, "/no/such/checkpoint"));
            container.remove();
            text
        },
    },
    Row {
        method: "Start",
        what: "a created container",
        run: |subject| {
            let container = subject.container(&["sleep"]);
            let pid = container.create().expect("Create");
            let text = told(container.start(), |started| {
                format!("ok, the same pid: {}", started == pid)
            });
            container.remove();
            text
        },
    },
    Row {
        method: "Start",
        what: "a running container",
        run: |subject| {
            let container = subject.running();
            let text = code(container.start());
            container.remove();
            text
        },
    },
    Row {
        method: "Start",
        what: "a container that has ended",
        run: |subject| {
            let container = subject.ended(0);
            let text = code(container.start());
            container.remove();
            text
        },
    },
    Row {
        method: "Start",
        what: "an unknown id",
        run: |subject| code(subject.shim.start("unknown")),
    },
];

fn create_from(container: &Container<'_>, checkpoint: &str) -> Answer<CreateTaskResponse> {
    let request = CreateTaskRequest {
        id: container.id.clone(),
        bundle: container.folder.to_string_lossy().into_owned(),
        checkpoint: checkpoint.into(),
        ..Default::default()
    };
    container.shim().call("Create", &request)
}
