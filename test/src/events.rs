//! What containerd publishes, as `ctr events` prints it.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ctr::Ctr;
use crate::guest_image;

/// One published event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Such as `/tasks/exit`.
    pub topic: String,
    pub body: Value,
}

impl Event {
    pub fn container(&self) -> Option<&str> {
        self.body["container_id"].as_str()
    }

    /// A number of the body; proto3 leaves zero out.
    pub fn number(&self, field: &str) -> u32 {
        self.body[field]
            .as_u64()
            .and_then(|value| u32::try_from(value).ok())
            .unwrap_or(0)
    }
}

/// All events since the subscription.
#[derive(Debug)]
pub struct Events {
    process: Child,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    events: Mutex<Vec<Event>>,
    more: Condvar,
}

impl Events {
    /// Subscribes, and returns when events do arrive.
    pub fn subscribe(ctr: &Ctr) -> Self {
        let mut command = ctr.command();
        command
            .arg("events")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = command.spawn().expect("ctr events");
        let seen = Arc::new(Seen::default());
        let stdout = process.stdout.take().expect("piped");
        let to = Arc::clone(&seen);
        thread::spawn(move || read(stdout, &to));
        let events = Self { process, seen };
        events.wait_until_subscribed(ctr);
        events
    }

    /// `ctr events` does not say when it is subscribed: cause events until one
    /// of them comes through.
    fn wait_until_subscribed(&self, ctr: &Ctr) {
        for attempt in 0..100 {
            ctr.call(&[
                "images",
                "label",
                guest_image::NAME,
                &format!("attempt={attempt}"),
            ])
            .success();
            if self
                .find(Duration::from_millis(100), |event| {
                    event.topic == "/images/update"
                })
                .is_some()
            {
                return;
            }
        }
        panic!("no event arrives");
    }

    /// The first event of a container with this topic, waited for.
    pub fn wait(&self, container: &str, topic: &str) -> Event {
        let wanted = |event: &Event| event.topic == topic && event.container() == Some(container);
        self.find(Duration::from_secs(60), wanted)
            .unwrap_or_else(|| panic!("no {topic} of {container}, only {:?}", self.of(container)))
    }

    /// All events of a container up to now, in the order of arrival.
    pub fn of(&self, container: &str) -> Vec<Event> {
        let events = self.seen.events.lock().expect("no reader panics");
        events
            .iter()
            .filter(|event| event.container() == Some(container))
            .cloned()
            .collect()
    }

    fn find(&self, limit: Duration, wanted: impl Fn(&Event) -> bool) -> Option<Event> {
        let deadline = Instant::now() + limit;
        let mut events = self.seen.events.lock().expect("no reader panics");
        loop {
            if let Some(event) = events.iter().find(|event| wanted(event)) {
                return Some(event.clone());
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            events = self
                .seen
                .more
                .wait_timeout(events, left)
                .expect("no reader panics")
                .0;
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // It may have ended with its containerd.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn read(stdout: ChildStdout, seen: &Seen) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let Some(event) = parse(&line) else { continue };
        seen.events
            .lock()
            .expect("no other holder panics")
            .push(event);
        seen.more.notify_all();
    }
}

/// A line is `DATE TIME ZONE ZONE NAMESPACE TOPIC {JSON}`.
fn parse(line: &str) -> Option<Event> {
    let (head, body) = line.split_at(line.find('{')?);
    let topic = head.split_whitespace().last()?.into();
    Some(Event {
        topic,
        body: serde_json::from_str(body).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_what_ctr_prints() {
        let line = r#"2026-11-21 04:00:00.1 +0000 UTC ns /tasks/exit {"container_id":"a","id":"a","pid":7,"exit_status":137}"#;
        let event = parse(line).expect("an event");
        assert_eq!(
            (event.topic.as_str(), event.container()),
            ("/tasks/exit", Some("a"))
        );
        assert_eq!(
            (event.number("exit_status"), event.number("none")),
            (137, 0)
        );
    }
}
