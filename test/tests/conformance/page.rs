use std::fmt::Write;

use crate::differences;
use crate::rows::Row;

/// What came of one row.
pub struct Line {
    pub row: &'static Row,
    pub runc: String,
    pub ours: String,
}

const HEAD: &str = "# Conformance

The task service of runc's shim beside that of this one: the same steps on both, through their sockets, with the test
guest, native under runc and WebAssembly under ours. Written by `test/tests/conformance` (`UPDATE_CONFORMANCE=1 cargo
test -p shim-test --test conformance`), which fails when this page is out of date, or when the two differ and this page
does not say why.
";

/// The page, in Markdown.
pub fn text(version: &str, lines: &[Line]) -> String {
    let mut text =
        format!("{HEAD}\nRun on containerd {version} with its runc and shim, on cgroup v1.\n");
    let mut method = "";
    let mut notes = Vec::new();
    for line in lines {
        if line.row.method != method {
            method = line.row.method;
            let _ = write!(
                text,
                "\n## {method}\n| | runc's shim | this shim |\n|---|---|---|\n"
            );
        }
        let note = match differences::reason(line) {
            Some(reason) => {
                let known = notes.iter().position(|note| *note == reason);
                let number = known.unwrap_or_else(|| {
                    notes.push(reason);
                    notes.len() - 1
                });
                format!(" ({})", number + 1)
            }
            None => String::new(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {}{note} |",
            line.row.what, line.runc, line.ours
        );
    }
    text.push_str("\n## Differences\n");
    for (number, note) in notes.iter().enumerate() {
        let _ = writeln!(text, "{}. {note}", number + 1);
    }
    text
}

pub fn first_difference(old: &str, new: &str) -> String {
    let differs = old.lines().zip(new.lines()).find(|(old, new)| old != new);
    match differs {
        Some((old, new)) => format!("{old:?} is now {new:?}"),
        None => "it is longer or shorter".into(),
    }
}
