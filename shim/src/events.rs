use std::sync::Arc;
use std::time::{Duration, SystemTime};

use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::shim::event::Envelope;
use containerd_shim_protos::shim::events::ForwardRequest;
use containerd_shim_protos::shim_async::{Client, EventsClient};
use containerd_shim_protos::ttrpc::{self, Code};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::event::Event;
use crate::message::timestamp;

/// How long an event is offered to a containerd that is away.
const KEEP_FOR: Duration = Duration::from_secs(30);
/// How long the last events may take when the shim ends.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// Where the task side puts events: in order, without waiting.
#[derive(Debug, Clone)]
pub struct EventQueue {
    queue: mpsc::UnboundedSender<Queued>,
    address: Option<Arc<str>>,
    namespace: Arc<str>,
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

    /// containerd's namespace, of all containers of this shim.
    pub fn namespace(&self) -> &str {
        &self.namespace
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
            namespace: namespace.as_str().into(),
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
            if is_refusal(&error) || tokio::time::Instant::now() > deadline {
                log::warn!("containerd was not told of {:?}: {error}", queued.event);
                break;
            }
            // containerd restarts; its socket tells nobody when it is back.
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }
}

/// Whether containerd has answered: it would not answer otherwise next time.
fn is_refusal(error: &ttrpc::Error) -> bool {
    matches!(error, ttrpc::Error::RpcStatus(status) if status.code() != Code::DEADLINE_EXCEEDED)
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
    let (topic, event) = queued
        .event
        .encode()
        .map_err(|error| ttrpc::Error::Others(error.to_string()))?;
    Ok(Envelope {
        timestamp: MessageField::some(timestamp(queued.at)),
        namespace: namespace.to_owned(),
        topic: topic.to_owned(),
        event: MessageField::some(event),
        ..Default::default()
    })
}
