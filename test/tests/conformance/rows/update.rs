use containerd_shim_protos::api::{
    CheckpointTaskRequest, StatsRequest, StatsResponse, UpdateTaskRequest,
};
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use serde_json::json;
use shim_test::cgroup;

use super::Row;
use crate::subject::{Container, code, told};

pub const ROWS: &[Row] = &[
    Row {
        method: "Update",
        what: "memory, cpu and pids",
        run: |subject| {
            let container = subject.running();
            let resources = json!({
                "memory": {"limit": 100 << 20},
                "cpu": {"quota": 30000, "period": 100_000, "shares": 512},
                "pids": {"limit": 44},
            });
            let answer = code(container.shim().update(&container.id, &resources));
            let files: [&[&str]; 4] = [
                &["memory.limit_in_bytes", "memory.max"],
                &["cpu.cfs_quota_us", "cpu.max"],
                &["cpu.shares", "cpu.weight"],
                &["pids.max"],
            ];
            let values = files.map(|files| limit(&container, files));
            container.remove();
            format!("{answer}: {}", values.join(", "))
        },
    },
    Row {
        method: "Update",
        what: "what it does not name stays",
        run: |subject| {
            let container = subject.container_of(&["sleep"], |spec| {
                spec["linux"]["resources"] = json!({"pids": {"limit": 33}});
            });
            container.create().expect("Create");
            container.start().expect("Start");
            let resources = json!({"memory": {"limit": 100 << 20}});
            let answer = code(container.shim().update(&container.id, &resources));
            let text = format!("{answer}: {}", limit(&container, &["pids.max"]));
            container.remove();
            text
        },
    },
    Row {
        method: "Update",
        what: "no JSON",
        run: |subject| {
            let container = subject.running();
            let request = UpdateTaskRequest {
                id: container.id.clone(),
                resources: MessageField::some(Any {
                    type_url: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
                        .into(),
                    value: b"no JSON".to_vec(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            let text = code(container.call("Update", &request));
            container.remove();
            text
        },
    },
    Row {
        method: "Update",
        what: "an unknown id",
        run: |subject| code(subject.shim.update("unknown", &json!({}))),
    },
    Row {
        method: "Stats",
        what: "running",
        run: |subject| {
            let container = subject.running();
            let text = stats(&container);
            container.remove();
            text
        },
    },
    Row {
        method: "Stats",
        what: "ended",
        run: |subject| {
            let container = subject.ended(0);
            let text = stats(&container);
            container.remove();
            text
        },
    },
    Row {
        method: "Stats",
        what: "an unknown id",
        run: |subject| {
            let mut container = subject.container(&["sleep"]);
            container.id = "unknown".into();
            stats(&container)
        },
    },
    Row {
        method: "Checkpoint",
        what: "a running container",
        run: |subject| {
            let container = subject.running();
            let mut request = CheckpointTaskRequest::new();
            request.id.clone_from(&container.id);
            request.path = container
                .folder
                .join("image")
                .to_string_lossy()
                .into_owned();
            let text = code(container.call("Checkpoint", &request));
            container.remove();
            text
        },
    },
];

fn limit(container: &Container<'_>, files: &[&str]) -> String {
    let namespace = container.subject.containerd.namespace();
    let group = format!("/{namespace}/{}", container.id);
    cgroup::value(&group, files).unwrap_or_else(|| "none".into())
}

fn stats(container: &Container<'_>) -> String {
    let mut request = StatsRequest::new();
    request.id.clone_from(&container.id);
    told(
        container.shim().call("Stats", &request),
        |answer: StatsResponse| {
            let kind = answer.stats.type_url.clone();
            format!("{kind}, not empty: {}", answer.stats.value.len() > 100)
        },
    )
}
