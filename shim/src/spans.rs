use std::time::SystemTime;

use ipc::Phase;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How long a collector may take, in seconds. The shim's end waits for it.
const LIMIT: u64 = 1;

/// SPAN_KIND_SERVER and SPAN_KIND_INTERNAL.
const KINDS: [u8; 2] = [2, 1];

/// Hands the steps of a container's life to a collector of OpenTelemetry, as
/// spans: OTLP over HTTP, as JSON (OpenTelemetry Protocol 1.x, "OTLP/HTTP").
#[derive(Debug)]
pub struct Spans {
    url: String,
    container: String,
    trace: TraceContext,
}

/// Which span of which trace those of a container belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace: String,
    parent: String,
    is_sampled: bool,
}

impl TraceContext {
    /// From what containerd sends along if it is traced itself (W3C Trace
    /// Context, "traceparent").
    pub fn parse(traceparent: &str) -> Option<Self> {
        let [version, trace, parent, flags] = traceparent.split('-').collect::<Vec<_>>()[..] else {
            return None;
        };
        let is_id = |text: &str, digits| {
            text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let flags = u8::from_str_radix(flags, 16).ok()?;
        (version == "00" && is_id(trace, 32) && is_id(parent, 16)).then(|| Self {
            trace: trace.into(),
            parent: parent.into(),
            is_sampled: flags & 1 == 1,
        })
    }

    /// A trace of its own.
    fn new(seed: &str) -> Self {
        Self {
            trace: digits(&[seed], 32),
            parent: String::new(),
            is_sampled: true,
        }
    }
}

impl Spans {
    /// `None` if who traces containerd does not want this container's spans.
    pub fn new(endpoint: &str, container: &str, context: Option<TraceContext>) -> Option<Self> {
        let own = || TraceContext::new(&format!("{container} {:?}", SystemTime::now()));
        let trace = context.unwrap_or_else(own);
        trace.is_sampled.then(|| Self {
            url: format!("{}/v1/traces", endpoint.trim_end_matches('/')),
            container: container.into(),
            trace,
        })
    }

    /// Returns at once.
    pub fn send(&self, of: &str, phases: &[Phase]) {
        let body = self.request(of, phases, offset()).to_string();
        let (url, container) = (self.url.clone(), self.container.clone());
        tokio::task::spawn_blocking(move || {
            let post = minreq::post(&url)
                .with_header("Content-Type", "application/json")
                .with_body(body)
                .with_timeout(LIMIT);
            let problem = match post.send() {
                Ok(response) if (200..300).contains(&response.status_code) => return,
                Ok(response) => format!("status {}", response.status_code),
                Err(error) => error.to_string(),
            };
            log::warn!(container; "spans can't be handed to {url} (otlp): {problem}");
        });
    }

    /// One span for the call, and one in it for each step. `offset`: from the
    /// phases' clock to nanoseconds since 1970.
    fn request(&self, of: &str, phases: &[Phase], offset: i64) -> Value {
        let call = self.id(of, "");
        let times = phases.first().zip(phases.last());
        let whole = times.map(|(first, last)| {
            let ids = (call.as_str(), self.trace.parent.as_str());
            self.span(of, ids, KINDS[0], [first.at, last.at], offset)
        });
        let steps = phases.windows(2).map(|pair| {
            let id = self.id(of, &pair[1].what);
            let ids = (id.as_str(), call.as_str());
            self.span(
                &pair[1].what,
                ids,
                KINDS[1],
                [pair[0].at, pair[1].at],
                offset,
            )
        });
        let spans: Vec<Value> = whole.into_iter().chain(steps).collect();
        json!({"resourceSpans": [{
            "resource": {"attributes": [attribute("service.name", "containerd-shim-wasm")]},
            "scopeSpans": [{
                "scope": {
                    "name": env!("CARGO_PKG_NAME"),
                    "version": env!("CARGO_PKG_VERSION"),
                },
                "spans": spans,
            }],
        }]})
    }

    fn span(
        &self,
        name: &str,
        (id, parent): (&str, &str),
        kind: u8,
        at: [i64; 2],
        offset: i64,
    ) -> Value {
        let [start, end] = at.map(|at| (at + offset).to_string());
        json!({
            "traceId": self.trace.trace,
            "spanId": id,
            "parentSpanId": parent,
            "name": name,
            "kind": kind,
            "startTimeUnixNano": start,
            "endTimeUnixNano": end,
            "attributes": [attribute("container.id", &self.container)],
        })
    }

    fn id(&self, of: &str, step: &str) -> String {
        digits(&[&self.trace.trace, &self.container, of, step], 16)
    }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Hexadecimal digits that differ for each text.
fn digits(texts: &[&str], number: usize) -> String {
    let hash = Sha256::digest(texts.join("\0"));
    let mut digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.truncate(number);
    digits
}

/// From CLOCK_MONOTONIC to the time since 1970, in nanoseconds.
fn offset() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_nanos());
    i64::try_from(now).unwrap_or(i64::MAX) - Phase::done("").at
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn containerds_trace_is_gone_on_with() {
        let context = TraceContext::parse(PARENT).unwrap();
        assert_eq!(context.trace, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.parent, "b7ad6b7169203331");
        assert!(Spans::new("http://a", "id", Some(context)).is_some());
        let unwanted = TraceContext::parse(&PARENT.replace("-01", "-00"));
        assert!(Spans::new("http://a", "id", unwanted).is_none());
        for wrong in [
            "",
            "00-a-b-01",
            &PARENT.replace("00-0", "01-0"),
            &PARENT.replace('a', "x"),
        ] {
            assert_eq!(TraceContext::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_call_is_the_parent_of_its_steps() {
        let context = TraceContext::parse(PARENT);
        let spans = Spans::new("http://a:4318/", "id", context).unwrap();
        assert_eq!(spans.url, "http://a:4318/v1/traces");
        let phase = |what: &str, at| Phase {
            what: what.into(),
            at,
        };
        let phases = [phase("begin", 10), phase("fork", 30), phase("mounts", 60)];
        let request = spans.request("create", &phases, 1000);
        let all = request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array();
        let all = all.unwrap();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0]["parentSpanId"], "b7ad6b7169203331");
        assert_eq!(all[0]["startTimeUnixNano"], "1010");
        assert_eq!(all[0]["endTimeUnixNano"], "1060");
        assert_eq!(all[2]["name"], "mounts");
        assert_eq!(all[2]["startTimeUnixNano"], "1030");
        assert_eq!(all[2]["parentSpanId"], all[0]["spanId"]);
        assert_ne!(all[1]["spanId"], all[2]["spanId"]);
    }

    #[test]
    fn each_container_has_a_trace_of_its_own() {
        let trace = |id| Spans::new("http://a", id, None).unwrap().trace.trace;
        assert_ne!(trace("a"), trace("b"));
        assert_eq!(trace("a").len(), 32);
    }
}
