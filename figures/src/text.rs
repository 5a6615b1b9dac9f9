use std::collections::HashMap;
use std::fmt::Write;

use crate::{Code, Count};

/// The upper bounds of the histogram's buckets, in seconds.
const BOUNDS: [f64; 11] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

const STARTS: &str = "containerd_shim_wasm_starts_total";
const FAILURES: &str = "containerd_shim_wasm_start_failures_total";
const SECONDS: &str = "containerd_shim_wasm_start_seconds";
const CODE: &str = "containerd_shim_wasm_native_code_lookups_total";
const COMPILES: &str = "containerd_shim_wasm_compiles_total";

/// Values by series, as Prometheus writes them.
#[derive(Debug, Default)]
pub struct Samples(HashMap<String, f64>);

impl Samples {
    /// What is no sample is left out.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let is_ours = series.starts_with("containerd_shim_wasm_");
            let value = value.parse().ok().filter(|value: &f64| value.is_finite())?;
            is_ours.then(|| (series.to_owned(), value))
        });
        Self(samples.collect())
    }

    pub fn add(&mut self, count: Count) {
        match count {
            Count::Start(took) => {
                let took = took.as_secs_f64();
                self.increase(STARTS.into(), 1.0);
                let above = BOUNDS.iter().filter(|bound| took <= **bound);
                for bound in above {
                    self.increase(bucket(&bound.to_string()), 1.0);
                }
                self.increase(bucket("+Inf"), 1.0);
                self.increase(format!("{SECONDS}_sum"), took);
                self.increase(format!("{SECONDS}_count"), 1.0);
            }
            Count::FailedStart => self.increase(FAILURES.into(), 1.0),
            Count::NativeCode(code) => self.increase(lookups(code), 1.0),
            Count::Compiled { well } => self.increase(compiles(well), 1.0),
        }
    }

    fn increase(&mut self, series: String, by: f64) {
        *self.0.entry(series).or_default() += by;
    }

    /// All series, those that nothing has happened of too.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, kind, help, series) in families() {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for series in series {
                let value = self.0.get(&series).copied().unwrap_or_default();
                let _ = writeln!(text, "{series} {value}");
            }
        }
        text
    }
}

type Family = (&'static str, &'static str, &'static str, Vec<String>);

fn families() -> [Family; 5] {
    let mut seconds: Vec<_> = BOUNDS.map(|bound| bucket(&bound.to_string())).into();
    seconds.push(bucket("+Inf"));
    seconds.extend(["sum", "count"].map(|part| format!("{SECONDS}_{part}")));
    let codes = [Code::Hit, Code::Miss, Code::Impossible];
    [
        (
            STARTS,
            "counter",
            "Containers started.",
            vec![STARTS.into()],
        ),
        (
            FAILURES,
            "counter",
            "Containers that could not be created or started.",
            vec![FAILURES.into()],
        ),
        (
            SECONDS,
            "histogram",
            "What Create and Start of a container took the shim.",
            seconds,
        ),
        (
            CODE,
            "counter",
            "Modules that were loaded with native code (hit), without (miss), or can't have it (impossible).",
            codes.map(lookups).into(),
        ),
        (
            COMPILES,
            "counter",
            "Native code made, and compilers that failed.",
            [true, false].map(compiles).into(),
        ),
    ]
}

fn bucket(bound: &str) -> String {
    format!("{SECONDS}_bucket{{le=\"{bound}\"}}")
}

fn lookups(code: Code) -> String {
    let result = match code {
        Code::Hit => "hit",
        Code::Miss => "miss",
        Code::Impossible => "impossible",
    };
    format!("{CODE}{{result=\"{result}\"}}")
}

fn compiles(well: bool) -> String {
    let result = if well { "ok" } else { "failed" };
    format!("{COMPILES}{{result=\"{result}\"}}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_written_is_gone_on_with() {
        let mut samples = Samples::parse("not a sample\nother_total 7\n");
        samples.add(Count::Start(Duration::from_millis(15)));
        let text = samples.text();
        let mut samples = Samples::parse(&text);
        samples.add(Count::Start(Duration::from_secs(20)));
        samples.add(Count::NativeCode(Code::Miss));
        let text = samples.text();
        for line in [
            "# TYPE containerd_shim_wasm_start_seconds histogram",
            "containerd_shim_wasm_starts_total 2",
            "containerd_shim_wasm_start_seconds_bucket{le=\"0.01\"} 0",
            "containerd_shim_wasm_start_seconds_bucket{le=\"0.02\"} 1",
            "containerd_shim_wasm_start_seconds_bucket{le=\"10\"} 1",
            "containerd_shim_wasm_start_seconds_bucket{le=\"+Inf\"} 2",
            "containerd_shim_wasm_start_seconds_sum 20.015",
            "containerd_shim_wasm_native_code_lookups_total{result=\"miss\"} 1",
            "containerd_shim_wasm_compiles_total{result=\"ok\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
        }
        assert!(!text.contains("other"), "{text}");
    }
}
