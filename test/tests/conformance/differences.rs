//! Where the two may differ, and why.

use crate::page::Line;

/// Method, what, reason.
const EXPLAINED: &[(&str, &str, &str)] = &[
    ("Create", "an id that is taken", NO_CODE),
    ("Create", "from a checkpoint that is not there", CHECKPOINTS),
    ("Start", "a running container", NO_CODE),
    ("Start", "a container that has ended", NO_CODE),
    ("Kill", "SIGTERM, no handler in the program", SIGTERM),
    ("Kill", "signal 99", NO_CODE),
    ("Kill", "to all of a container that has ended", NOBODY),
    ("Wait", "an abort (a trap in WebAssembly)", TRAP),
    ("Delete", "a running container", NO_CODE),
    ("Exec", "in a container that has ended", NO_CODE),
    ("Exec", "a description that is no JSON", NO_CODE),
    ("Exec", "started twice", CRASH),
    ("Exec", "deleted while it runs", NO_CODE),
    ("Pause", "twice", NO_CODE),
    ("Pause", "created but not started", NO_CODE),
    ("Pause", "a container that has ended", NO_CODE),
    ("Pause", "Exec while paused", NO_CODE),
    ("Resume", "a container that is not paused", NO_CODE),
    ("Checkpoint", "a running container", CHECKPOINTS),
    ("CloseIO", "an unknown exec", NO_CODE),
    ("ResizePty", "a container without a terminal", NO_TERMINAL),
];

const NO_CODE: &str = "Both refuse it; ours has the code that says why, which clients can act on.";
const CHECKPOINTS: &str = "There are no checkpoints of WebAssembly; runc has CRIU for them.";
const SIGTERM: &str = "The first process of a pid namespace ignores what it has no handler for. \
    WebAssembly can't have handlers, so that our guests end: nobody would want to wait for each \
    `docker stop` to run out of time.";
const NOBODY: &str = "Nobody is left who could be signalled; containerd and its CRI plugin take \
    this code for what they wanted.";
const TRAP: &str = "A trap ends with 128 + SIGABRT; the native guest fails to abort, as the first \
    process of a pid namespace.";
const CRASH: &str = "runc's shim of this version ends with a fault, and its containers with it.";
const NO_TERMINAL: &str = "Ours says that there is no terminal, runc's says nothing.";

pub fn reason(line: &Line) -> Option<&'static str> {
    if line.runc == line.ours {
        return None;
    }
    let mut known = EXPLAINED.iter();
    let found =
        known.find(|(method, what, _)| (*method, *what) == (line.row.method, line.row.what));
    found.map(|(_, _, reason)| *reason)
}

/// What is to be mended or explained, and explanations of what is the same.
pub fn unexplained(lines: &[Line]) -> Vec<String> {
    let differs = lines.iter().filter(|line| line.runc != line.ours);
    let mut problems: Vec<String> = differs
        .filter(|line| reason(line).is_none())
        .map(|line| {
            let row = line.row;
            format!(
                "{}, {}: runc {}, ours {}",
                row.method, row.what, line.runc, line.ours
            )
        })
        .collect();
    for (method, what, _) in EXPLAINED {
        let line = lines
            .iter()
            .find(|line| (line.row.method, line.row.what) == (*method, *what));
        if line.is_none_or(|line| line.runc == line.ours) {
            problems.push(format!("{method}, {what}: no difference to explain"));
        }
    }
    problems
}
