//! What is wrong with a node, in words for the person who has to mend it.

mod containerd;
mod machine;
mod shim;

use std::fmt;

use crate::error::Result;
use crate::host::Host;
use crate::layout::Layout;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Good,
    /// Something does not work as well as it could.
    Warning,
    /// Pods of this runtime do not run.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    pub what: String,
    /// What to do about it.
    pub mend: String,
}

#[derive(Debug, Default)]
pub struct Report(Vec<Finding>);

impl Report {
    fn good(&mut self, what: impl fmt::Display) {
        self.add(Level::Good, what, "");
    }

    fn warn(&mut self, what: impl fmt::Display, mend: impl fmt::Display) {
        self.add(Level::Warning, what, mend);
    }

    fn problem(&mut self, what: impl fmt::Display, mend: impl fmt::Display) {
        self.add(Level::Problem, what, mend);
    }

    fn add(&mut self, level: Level, what: impl fmt::Display, mend: impl fmt::Display) {
        self.0.push(Finding {
            level,
            what: what.to_string(),
            mend: mend.to_string(),
        });
    }

    pub fn has_problems(&self) -> bool {
        self.0.iter().any(|finding| finding.level == Level::Problem)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.0 {
            let level = match finding.level {
                Level::Good => "ok     ",
                Level::Warning => "warning",
                Level::Problem => "PROBLEM",
            };
            writeln!(f, "{level}  {}", finding.what)?;
            if !finding.mend.is_empty() {
                writeln!(f, "         -> {}", finding.mend)?;
            }
        }
        let count = |level| {
            self.0
                .iter()
                .filter(|finding| finding.level == level)
                .count()
        };
        let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
        writeln!(f, "problems: {problems}, warnings: {warnings}")
    }
}

/// Looks at everything, and goes on after what is wrong.
pub fn examine(host: &Host, layout: Option<Layout>) -> Result<Report> {
    let mut report = Report::default();
    machine::examine(&mut report, host);
    shim::examine(&mut report, host);
    match layout.map_or_else(|| Layout::detect(host), Ok) {
        Ok(layout) => containerd::examine(&mut report, host, &layout),
        Err(error) => report.problem(error, "give --kind or --config"),
    }
    Ok(report)
}

#[cfg(test)]
mod tests;
