use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use shim_test::task::Shim;

use super::Row;
use crate::subject::{Container, code, told};

pub const ROWS: &[Row] = &[
    Row {
        method: "Kill",
        what: "SIGKILL",
        run: |subject| signalled(&subject.running(), 9),
    },
    Row {
        method: "Kill",
        what: "SIGTERM, no handler in the program",
        run: |subject| {
            let container = subject.running();
            // runc's own process, which becomes the program, has a handler.
            thread::sleep(Duration::from_millis(500));
            signalled(&container, 15)
        },
    },
    Row {
        method: "Kill",
        what: "SIGKILL, created but not started",
        run: |subject| {
            let container = subject.container(&["sleep"]);
            container.create().expect("Create");
            signalled(&container, 9)
        },
    },
    Row {
        method: "Kill",
        what: "SIGKILL to all",
        run: |subject| {
            let container = subject.running();
            let killed = code(container.kill_of("", 9, true));
            let text = format!("{killed}, {}", end(&container));
            container.remove();
            text
        },
    },
    Row {
        method: "Kill",
        what: "signal 0",
        run: |subject| refused(&subject.running(), 0),
    },
    Row {
        method: "Kill",
        what: "signal 99",
        run: |subject| refused(&subject.running(), 99),
    },
    Row {
        method: "Kill",
        what: "a container that has ended",
        run: |subject| refused(&subject.ended(0), 9),
    },
    Row {
        method: "Kill",
        what: "to all of a container that has ended",
        run: |subject| {
            let container = subject.ended(0);
            let text = code(container.kill_of("", 9, true));
            container.remove();
            text
        },
    },
    Row {
        method: "Kill",
        what: "an unknown id",
        run: |subject| code(subject.shim.kill("unknown", 9)),
    },
    Row {
        method: "Kill",
        what: "an unknown exec",
        run: |subject| {
            let container = subject.running();
            let text = code(container.kill_of("unknown", 9, false));
            container.remove();
            text
        },
    },
];

fn signalled(container: &Container<'_>, signal: u32) -> String {
    let killed = code(container.shim().kill(&container.id, signal));
    let text = format!("{killed}, {}", end(container));
    container.remove();
    text
}

fn refused(container: &Container<'_>, signal: u32) -> String {
    let text = code(container.shim().kill(&container.id, signal));
    container.remove();
    text
}

/// How it ends, if it does within a second.
pub fn end(container: &Container<'_>) -> String {
    let (sender, ended) = mpsc::channel();
    let (address, id) = (container.shim().address.clone(), container.id.clone());
    let service = container.shim().service();
    thread::spawn(move || {
        let waited = Shim::at(&address).speaking(service).wait(&id);
        // Nobody waits any more: it has taken too long.
        drop(sender.send(told(waited, |exit| format!("code {}", exit.exit_status))));
    });
    ended
        .recv_timeout(Duration::from_secs(1))
        .unwrap_or_else(|_| "runs on".into())
}
