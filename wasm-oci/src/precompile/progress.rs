use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;

/// Which module is being compiled, on standard error if that is a terminal; and
/// what became of each, on standard output.
pub struct Progress(ProgressBar);

/// How often the bar is drawn anew.
const TICK: Duration = Duration::from_millis(200);

impl Progress {
    pub fn new(modules: usize) -> Self {
        let bar = ProgressBar::new(modules as u64);
        let style = "{spinner} [{bar:30}] {pos}/{len} {msg} {elapsed}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    pub fn begin(&self, module: &str) {
        self.0.set_message(format!("compiling {module}"));
    }

    pub fn end(&self, module: &str, hash: &str, outcome: &Outcome) {
        let text = match outcome {
            Outcome::There => "is there already".to_owned(),
            Outcome::Made(took) => format!("compiled in {:.1} s", took.as_secs_f64()),
            Outcome::Impossible(reason) => format!("can't be compiled: {reason}"),
        };
        let line = format!("{} {module} {text}\n", &hash[..hash.len().min(16)]);
        // A reader that has seen enough is no failure.
        self.0
            .suspend(|| drop(io::stdout().write_all(line.as_bytes())));
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
