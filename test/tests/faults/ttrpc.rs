//! Clients that send what no containerd sends.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use containerd_shim_protos::api::StateRequest;
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::ttrpc::{Request, Response};
use shim_test::case::Case;
use shim_test::task::{Shim, V2};
use shim_test::{memory, processes, wait};

use crate::bundles::{LIMIT, host, remove_host};

crate::tests! {
    any: ;
    wasm: garbage, half_a_message, ten_thousand_requests, ten_thousand_requests_unread, hundreds_of_connections
}

/// A frame of ttrpc: length of the payload, number of the stream, kind, flags.
fn frame(stream: u32, kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut frame = Vec::from(length.to_be_bytes());
    frame.extend(stream.to_be_bytes());
    frame.extend([kind, 0]);
    frame.extend(payload);
    frame
}

const REQUEST: u8 = 1;

fn state_request(stream: u32, id: &str) -> Vec<u8> {
    let state = StateRequest {
        id: id.into(),
        ..Default::default()
    };
    let mut request = Request::new();
    request.set_service(V2.into());
    request.set_method("State".into());
    request.set_payload(state.write_to_bytes().expect("a message"));
    frame(
        stream,
        REQUEST,
        &request.write_to_bytes().expect("a message"),
    )
}

fn connect(shim: &Shim) -> UnixStream {
    let path = shim.address.strip_prefix("unix://").expect("a path");
    let stream = UnixStream::connect(path).expect("the shim's socket");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream.set_write_timeout(Some(LIMIT)).expect("a limit");
    stream
}

/// Runs `attack` against a shim with a container, which goes on as before.
fn survives(case: &Case, attack: impl FnOnce(&Shim)) {
    let shim = host(case);
    let id = case.id("host");
    let state = shim.state(&id).expect("State");
    let pid = shim.connect(&id).shim_pid;
    let (open, memory) = (processes::descriptors(pid).len(), rss(pid));
    attack(&shim);
    assert_eq!(shim.state(&id).expect("State").pid, state.pid);
    // One who comes anew is served too.
    let other = Shim::of(&case.containerd, &id);
    assert_eq!(other.state(&id).expect("State").pid, state.pid);
    drop(other);
    wait::until_clean(LIMIT, || {
        let now = processes::descriptors(pid);
        (now.len() > open).then(|| format!("more than {open} descriptors: {now:?}"))
    });
    let after = rss(pid);
    assert!(
        after < memory + (16 << 20),
        "the shim had {memory} bytes of memory, and has {after}"
    );
    remove_host(case);
}

fn rss(pid: u32) -> u64 {
    memory::total(&[processes::Process {
        pid,
        command_line: String::new(),
    }])
}

fn garbage(case: &Case) {
    survives(case, |shim| {
        let noise: Vec<u8> = (0..4096u32)
            .flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_le_bytes())
            .collect();
        let huge = [0xff; 10];
        let no_request = frame(1, REQUEST, b"\xff\xff\xff\xff\xff\xff\xff\xff");
        let no_kind = frame(1, 77, b"");
        let a_response = frame(1, 2, &Response::new().write_to_bytes().expect("a message"));
        let even_stream = frame(2, REQUEST, b"");
        let no_service = frame(
            1,
            REQUEST,
            &Request::new().write_to_bytes().expect("a message"),
        );
        let all: [&[u8]; 7] = [
            &noise,
            &huge,
            &no_request,
            &no_kind,
            &a_response,
            &even_stream,
            &no_service,
        ];
        for bytes in all {
            let mut stream = connect(shim);
            // The shim may hang up before all is written.
            drop(stream.write_all(bytes));
            drop(stream.shutdown(Shutdown::Write));
            drop(stream.read_to_end(&mut Vec::new()));
        }
    });
}

/// Some go away in the middle, others stay and say no more.
fn half_a_message(case: &Case) {
    survives(case, |shim| {
        let whole = state_request(1, "x");
        let silent: Vec<UnixStream> = (1..whole.len())
            .map(|length| {
                let mut stream = connect(shim);
                stream.write_all(&whole[..length]).expect("a part");
                stream
            })
            .collect();
        // Others do not wait for them.
        let mut stream = connect(shim);
        stream.write_all(&whole).expect("a request");
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).expect("an answer");
        drop(silent);
    });
}

const MANY: u32 = 10_000;

fn send_many(mut stream: UnixStream, id: &str) {
    for number in 0..MANY {
        let request = state_request(2 * number + 1, id);
        if stream.write_all(&request).is_err() {
            return;
        }
    }
}

/// All at once, on one connection: each has its answer.
fn ten_thousand_requests(case: &Case) {
    let id = case.id("host");
    survives(case, |shim| {
        let mut stream = connect(shim);
        let writer = stream.try_clone().expect("a descriptor");
        thread::scope(|scope| {
            scope.spawn(|| send_many(writer, &id));
            let mut seen = vec![false; MANY as usize];
            for _ in 0..MANY {
                let mut head = [0; 10];
                stream.read_exact(&mut head).expect("an answer");
                let number = |at: usize| {
                    u32::from_be_bytes(head[at..at + 4].try_into().expect("four bytes"))
                };
                let mut payload = vec![0; number(0) as usize];
                stream.read_exact(&mut payload).expect("an answer");
                let answer = Response::parse_from_bytes(&payload).expect("a response");
                assert_eq!(answer.status().code.value(), 0, "{answer:?}");
                seen[(number(4) / 2) as usize] = true;
            }
            assert!(seen.iter().all(|seen| *seen), "a request without an answer");
        });
    });
}

/// From one who never reads: others are served all the same.
fn ten_thousand_requests_unread(case: &Case) {
    let id = case.id("host");
    survives(case, |shim| {
        let stream = connect(shim);
        let short = Some(Duration::from_secs(2));
        stream.set_write_timeout(short).expect("a limit");
        let writer = stream.try_clone().expect("a descriptor");
        send_many(writer, &id);
        let before = std::time::Instant::now();
        shim.state(&id).expect("State");
        assert!(before.elapsed() < Duration::from_secs(5));
    });
}

fn hundreds_of_connections(case: &Case) {
    survives(case, |shim| {
        let all: Vec<_> = (0..500).map(|_| connect(shim)).collect();
        let mut last = all.last().expect("a connection");
        last.write_all(&state_request(1, "x")).expect("a request");
        last.read_exact(&mut [0; 10]).expect("an answer");
    });
}
