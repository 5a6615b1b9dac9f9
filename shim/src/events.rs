use std::sync::Arc;
use std::time::{Duration, SystemTime};

use containerd_shim_protos::events::task::{TaskCreate, TaskDelete, TaskExit, TaskIO, TaskStart};
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::event::Envelope;
use containerd_shim_protos::shim::events::ForwardRequest;
use containerd_shim_protos::shim_async::{Client, EventsClient};
use containerd_shim_protos::{topics, ttrpc};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::container::Exit;
use crate::error::Result;
use crate::message::{any, timestamp};
use crate::stdio::StdioPaths;

/// How long an event is offered to a containerd that is away.
const KEEP_FOR: Duration = Duration::from_secs(30);
/// How long the last events may take when the shim ends.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

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
    Exit {
        id: String,
        pid: u32,
        exit: Exit,
    },
    Delete {
        id: String,
        pid: u32,
        exit: Exit,
    },
}

/// Where the task side puts events: in order, without waiting.
#[derive(Debug, Clone)]
pub struct EventQueue {
    queue: mpsc::UnboundedSender<Queued>,
    address: Option<Arc<str>>,
}

#[derive(Debug)]
struct Queued {
    event: Event,
    at: SystemTime,
}

impl EventQueue {
    pub fn publish(&self, event: Event) {
        // The publisher ends after all queues, so it is there.
        let _ = self.queue.send(Queued {
            event,
            at: SystemTime::now(),
        });
    }

    /// The socket that containerd listens at as long as it runs.
    pub fn containerd(&self) -> Option<&str> {
        self.address.as_deref()
    }
}

/// Takes events from the queue to containerd, one after another.
#[derive(Debug)]
pub struct Publisher(JoinHandle<()>);

impl Publisher {
    /// `address`: containerd's ttrpc socket. Without one events go nowhere.
    pub fn start(address: Option<String>, namespace: String) -> (EventQueue, Self) {
        let (queue, receiver) = mpsc::unbounded_channel();
        let events = EventQueue {
            queue,
            address: address.as_deref().map(Arc::from),
        };
        let link = Link {
            address,
            namespace,
            client: None,
        };
        (events, Self(tokio::spawn(forward(link, receiver))))
    }

    /// Waits until all events are out; to be called when no queue is left.
    pub async fn flush(self) {
        let _ = tokio::time::timeout(FLUSH_WITHIN, self.0).await;
    }
}

async fn forward(mut link: Link, mut queue: mpsc::UnboundedReceiver<Queued>) {
    while let Some(queued) = queue.recv().await {
        let deadline = tokio::time::Instant::now() + KEEP_FOR;
        let mut pause = Duration::from_millis(10);
        while let Err(error) = link.send(&queued).await {
            if tokio::time::Instant::now() > deadline {
                log::warn!("containerd was not told of {:?}: {error}", queued.event);
                break;
            }
            // containerd restarts; its socket tells nobody when it is back.
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }
}

struct Link {
    address: Option<String>,
    namespace: String,
    client: Option<EventsClient>,
}

impl Link {
    async fn send(&mut self, queued: &Queued) -> ttrpc::Result<()> {
        let Some(address) = &self.address else {
            return Ok(());
        };
        let request = ForwardRequest {
            envelope: MessageField::some(envelope(queued, &self.namespace)?),
            ..Default::default()
        };
        if self.client.is_none() {
            let client = Client::connect(&format!("unix://{address}")).await?;
            self.client = Some(EventsClient::new(client));
        }
        if let Some(client) = &self.client {
            let context = ttrpc::context::with_duration(Duration::from_secs(5));
            if let Err(error) = client.forward(context, &request).await {
                self.client = None;
                return Err(error);
            }
        }
        Ok(())
    }
}

fn envelope(queued: &Queued, namespace: &str) -> ttrpc::Result<Envelope> {
    let (topic, event) =
        encode(&queued.event).map_err(|error| ttrpc::Error::Others(error.to_string()))?;
    Ok(Envelope {
        timestamp: MessageField::some(timestamp(queued.at)),
        namespace: namespace.to_owned(),
        topic: topic.to_owned(),
        event: MessageField::some(event),
        ..Default::default()
    })
}

fn encode(event: &Event) -> Result<(&'static str, Any)> {
    Ok(match event.clone() {
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
        Event::Exit { id, pid, exit } => (
            topics::TASK_EXIT_EVENT_TOPIC,
            any(&TaskExit {
                // The id of the process is that of the task for the first one.
                id: id.clone(),
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

#[cfg(test)]
mod tests {
    use containerd_shim_protos::protobuf::Message;

    use super::*;

    #[test]
    fn events_are_named_as_containerd_registers_them() {
        let exit = Exit {
            status: 3,
            at: SystemTime::UNIX_EPOCH + Duration::new(7, 9),
        };
        let (topic, any) = encode(&Event::Exit {
            id: "a".into(),
            pid: 5,
            exit,
        })
        .unwrap();
        assert_eq!(topic, "/tasks/exit");
        assert_eq!(any.type_url, "containerd.events.TaskExit");
        let event = TaskExit::parse_from_bytes(&any.value).unwrap();
        assert_eq!((event.container_id.as_str(), event.id.as_str()), ("a", "a"));
        assert_eq!((event.pid, event.exit_status), (5, 3));
        assert_eq!((event.exited_at.seconds, event.exited_at.nanos), (7, 9));
    }
}
