//! A container's log, as containerd writes it for kubelet.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use shim_test::wait;

/// More than any line here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// One line: `TIME STREAM TAG TEXT`.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub time: String,
    pub stream: String,
    /// Whether the text ends here; else the next line continues it.
    pub full: bool,
    pub text: String,
}

#[derive(Debug)]
pub struct Log {
    pub path: PathBuf,
}

impl Log {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn lines(&self) -> Vec<Line> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        // The last may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(parse).collect()
    }

    /// All that was said, on both streams.
    pub fn text(&self) -> String {
        let end = |line: &Line| if line.full { "\n" } else { "" };
        let lines = self.lines();
        lines
            .iter()
            .map(|line| line.text.clone() + end(line))
            .collect()
    }

    /// Waits until this is all that was said. The log's writer is another than
    /// who tells of a container's end.
    pub fn expect(&self, text: &str) -> &Self {
        wait::until_clean(LIMIT, || {
            let found = self.text();
            (found != text).then(|| format!("a log that says {found:?} and not {text:?}"))
        });
        self
    }
}

fn parse(line: &str) -> Line {
    let parts: Vec<_> = line.splitn(4, ' ').collect();
    let [time, stream, tag, text] = parts[..] else {
        panic!("not a line of CRI's log: {line:?}");
    };
    assert!(["P", "F"].contains(&tag), "{line:?}");
    Line {
        time: time.into(),
        stream: stream.into(),
        full: tag == "F",
        text: text.into(),
    }
}
