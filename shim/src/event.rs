use containerd_shim_protos::events::task::{
    TaskCreate, TaskDelete, TaskExecAdded, TaskExecStarted, TaskExit, TaskIO, TaskOOM, TaskPaused,
    TaskResumed, TaskStart,
};
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::topics;

use crate::error::Result;
use crate::message::{any, timestamp};
use crate::process::Exit;
use crate::stdio::StdioPaths;

/// What happened to a task (containerd.events.Task*).
#[derive(Debug, Clone)]
pub enum Event {
    Create {
        id: String,
        bundle: String,
        stdio: StdioPaths,
        pid: u32,
    },
    Start {
        id: String,
        pid: u32,
    },
    ExecAdded {
        id: String,
        exec_id: String,
    },
    ExecStarted {
        id: String,
        exec_id: String,
        pid: u32,
    },
    Oom {
        id: String,
    },
    Paused {
        id: String,
    },
    Resumed {
        id: String,
    },
    Exit {
        id: String,
        /// The id of the process: that of the task for the first one.
        process: String,
        pid: u32,
        exit: Exit,
    },
    Delete {
        id: String,
        pid: u32,
        exit: Exit,
    },
}

impl Event {
    /// The topic and the message that containerd knows it by.
    pub fn encode(&self) -> Result<(&'static str, Any)> {
        Ok(match self.clone() {
            Event::Create {
                id,
                bundle,
                stdio,
                pid,
            } => (
                topics::TASK_CREATE_EVENT_TOPIC,
                any(&TaskCreate {
                    container_id: id,
                    bundle,
                    io: MessageField::some(TaskIO {
                        stdin: stdio.stdin,
                        stdout: stdio.stdout,
                        stderr: stdio.stderr,
                        terminal: stdio.terminal,
                        ..Default::default()
                    }),
                    pid,
                    ..Default::default()
                })?,
            ),
            Event::Start { id, pid } => (
                topics::TASK_START_EVENT_TOPIC,
                any(&TaskStart {
                    container_id: id,
                    pid,
                    ..Default::default()
                })?,
            ),
            Event::ExecAdded { id, exec_id } => (
                topics::TASK_EXEC_ADDED_EVENT_TOPIC,
                any(&TaskExecAdded {
                    container_id: id,
                    exec_id,
                    ..Default::default()
                })?,
            ),
            Event::ExecStarted { id, exec_id, pid } => (
                topics::TASK_EXEC_STARTED_EVENT_TOPIC,
                any(&TaskExecStarted {
                    container_id: id,
                    exec_id,
                    pid,
                    ..Default::default()
                })?,
            ),
            Event::Oom { id } => (
                topics::TASK_OOM_EVENT_TOPIC,
                any(&TaskOOM {
                    container_id: id,
                    ..Default::default()
                })?,
            ),
            Event::Paused { id } => (
                topics::TASK_PAUSED_EVENT_TOPIC,
                any(&TaskPaused {
                    container_id: id,
                    ..Default::default()
                })?,
            ),
            Event::Resumed { id } => (
                topics::TASK_RESUMED_EVENT_TOPIC,
                any(&TaskResumed {
                    container_id: id,
                    ..Default::default()
                })?,
            ),
            Event::Exit {
                id,
                process,
                pid,
                exit,
            } => (
                topics::TASK_EXIT_EVENT_TOPIC,
                any(&TaskExit {
                    id: process,
                    container_id: id,
                    pid,
                    exit_status: exit.status,
                    exited_at: MessageField::some(timestamp(exit.at)),
                    ..Default::default()
                })?,
            ),
            Event::Delete { id, pid, exit } => (
                topics::TASK_DELETE_EVENT_TOPIC,
                any(&TaskDelete {
                    container_id: id,
                    pid,
                    exit_status: exit.status,
                    exited_at: MessageField::some(timestamp(exit.at)),
                    ..Default::default()
                })?,
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use containerd_shim_protos::protobuf::Message;

    use super::*;

    #[test]
    fn events_are_named_as_containerd_registers_them() {
        let exit = Exit {
            status: 3,
            at: SystemTime::UNIX_EPOCH + Duration::new(7, 9),
        };
        let (topic, any) = Event::Exit {
            id: "a".into(),
            process: "b".into(),
            pid: 5,
            exit,
        }
        .encode()
        .unwrap();
        assert_eq!(topic, "/tasks/exit");
        assert_eq!(any.type_url, "containerd.events.TaskExit");
        let event = TaskExit::parse_from_bytes(&any.value).unwrap();
        assert_eq!((event.container_id.as_str(), event.id.as_str()), ("a", "b"));
        assert_eq!((event.pid, event.exit_status), (5, 3));
        assert_eq!((event.exited_at.seconds, event.exited_at.nanos), (7, 9));
    }
}
