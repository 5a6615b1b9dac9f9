use containerd_shim_protos::api::{PauseRequest, ResumeRequest};
use serde_json::json;
use shim_test::guest_image::NATIVE;

use super::Row;
use crate::subject::{Subject, code};

pub const ROWS: &[Row] = &[
    Row {
        method: "Events",
        what: "a program to its end",
        run: |subject| {
            let container = subject.ended(0);
            container.shim().delete(&container.id).expect("Delete");
            container.events_up_to("delete")
        },
    },
    Row {
        method: "Events",
        what: "created, deleted: which, in any order",
        run: |subject| {
            let container = subject.container(&["sleep"]);
            container.create().expect("Create");
            container.remove();
            // runc's shim tells of the end before or after the deletion.
            container.events_up_to("exit");
            sorted(&container.events_up_to("delete"))
        },
    },
    Row {
        method: "Events",
        what: "an added process to its end",
        run: |subject| {
            let container = subject.running();
            container.exec("x", &["exit", "3"]).expect("Exec");
            container.start_exec("x").expect("Start");
            container.wait_of("x").expect("Wait");
            container.delete_of("x").expect("Delete");
            container.remove();
            container.events_up_to("delete")
        },
    },
    Row {
        method: "Events",
        what: "an added process that can't be started",
        run: |subject| {
            let container = subject.running();
            let spec = crate::subject::process(&["/no/such/program"]).to_string();
            container.exec_spec("x", &spec).expect("Exec");
            container.start_exec("x").expect_err("Start");
            container.remove();
            container.events_up_to("delete")
        },
    },
    Row {
        method: "Events",
        what: "a container that ends before its added process",
        run: |subject| {
            let container = subject.running();
            container.exec("x", &["sleep"]).expect("Exec");
            container.start_exec("x").expect("Start");
            container.remove();
            container.events_up_to("delete")
        },
    },
    Row {
        method: "Events",
        what: "paused, resumed, killed",
        run: |subject| {
            let container = subject.running();
            let (mut pause, mut resume) = (PauseRequest::new(), ResumeRequest::new());
            pause.id.clone_from(&container.id);
            resume.id.clone_from(&container.id);
            code(container.call("Pause", &pause));
            code(container.call("Resume", &resume));
            container.remove();
            container.events_up_to("delete")
        },
    },
    Row {
        method: "Events",
        what: "a program that has no memory left: which, in any order",
        // runc's shim does not tell of it each time, when the machine is busy.
        run: |subject| {
            let mut outcomes = (0..5).filter_map(|_| without_memory(subject));
            outcomes.next().unwrap_or_else(|| "never told of".into())
        },
    },
];

fn sorted(events: &str) -> String {
    let mut events: Vec<&str> = events.split(", ").collect();
    events.sort_unstable();
    events.join(", ")
}

/// `None` if the shim does not tell of the want of memory.
fn without_memory(subject: &Subject<'_>) -> Option<String> {
    let container = subject.container_of(&[], |spec| {
        spec["process"]["args"] = json!([NATIVE, "grow", "256"]);
        spec["linux"]["resources"] = json!({"memory": {"limit": 32 << 20, "swap": 32 << 20}});
    });
    container.create().expect("Create");
    container.start().expect("Start");
    let end = container.shim().wait(&container.id).expect("Wait");
    let told = container.tells_of("oom");
    container.remove();
    let events = sorted(&container.events_up_to("delete"));
    told.then(|| format!("code {}: {events}", end.exit_status))
}
