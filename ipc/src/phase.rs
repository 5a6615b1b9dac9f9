use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A step of a container's start, to see where its time goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    pub what: String,
    /// When it was done: nanoseconds of CLOCK_MONOTONIC, which is one for all
    /// processes of the machine.
    pub at: i64,
}

impl Phase {
    pub fn done(what: &str) -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        Self {
            what: what.to_owned(),
            at: now.tv_sec * 1_000_000_000 + now.tv_nsec,
        }
    }
}

/// Each step with the microseconds since the one before it.
pub fn describe(phases: &[Phase]) -> String {
    let steps = phases.windows(2).map(|pair| {
        let took = (pair[1].at - pair[0].at) / 1000;
        format!("{} {took}", pair[1].what)
    });
    let total = phases.first().zip(phases.last());
    let total = total.map_or(0, |(first, last)| (last.at - first.at) / 1000);
    let steps: Vec<String> = steps.collect();
    format!("{}; {total} µs in all", steps.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_the_time_since_the_one_before() {
        let phase = |what: &str, at| Phase {
            what: what.into(),
            at,
        };
        let phases = [
            phase("begin", 1_000_000),
            phase("fork", 1_250_000),
            phase("mount", 3_000_000),
        ];
        assert_eq!(describe(&phases), "fork 250, mount 1750; 2000 µs in all");
        assert_eq!(describe(&[]), "; 0 µs in all");
    }
}
