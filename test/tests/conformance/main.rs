//! runc's shim and ours, side by side: the same steps through the task service of
//! each, and docs/conformance.md, which says what came of them.
//!
//! Fails where the two differ and no reason is known, and where the page is out
//! of date; with UPDATE_CONFORMANCE=1 the page is written anew.

mod differences;
mod page;
mod rows;
mod subject;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;
use std::{env, fs};

use libtest_mimic::{Arguments, Failed, Trial};
use shim_test::containerd::{Containerd, Options};
use shim_test::{paths, sandbox, versions};
use subject::Subject;

fn main() {
    let arguments = Arguments::from_args();
    if !arguments.list {
        sandbox::enter(sandbox::Network::Host);
    }
    let trials = vec![Trial::test("same_as_runc", || {
        compare().map_err(Failed::from)
    })];
    let conclusion = libtest_mimic::run(&arguments, trials);
    exit(if conclusion.has_failed() { 101 } else { 0 });
}

/// What came of each row. One that breaks off does not keep the others.
fn outcomes(containerd: &Containerd, runtime: &'static str) -> Vec<String> {
    let mut subject = Subject::new(containerd, runtime);
    let mut outcomes = Vec::new();
    for row in rows::all() {
        let run = AssertUnwindSafe(|| (row.run)(&subject));
        outcomes.push(catch_unwind(run).unwrap_or_else(|_| {
            let crashed = !subject.is_served();
            eprintln!("broken off: {}, {} ({runtime})", row.method, row.what);
            subject.end();
            subject = Subject::new(containerd, runtime);
            let outcome = if crashed {
                "the shim crashes"
            } else {
                "no answer"
            };
            outcome.into()
        }));
    }
    subject.end();
    outcomes
}

fn compare() -> Result<(), String> {
    let version = versions::newest();
    let options = Options {
        name: "conformance".into(),
        shim_bin: paths::shim_tree().join("bin"),
        wrapper: Vec::new(),
        cri: None,
    };
    let containerd = Containerd::start(&version, &options);
    let [runc, ours] =
        ["io.containerd.runc.v2", paths::WASM].map(|runtime| outcomes(&containerd, runtime));
    drop(containerd);
    let lines: Vec<page::Line> = rows::all()
        .zip(runc.into_iter().zip(ours))
        .map(|(row, (runc, ours))| page::Line { row, runc, ours })
        .collect();
    let problems = differences::unexplained(&lines);
    let text = page::text(&version.name, &lines);
    let file = paths::workspace().join("docs/conformance.md");
    if env::var_os("UPDATE_CONFORMANCE").is_some() {
        fs::write(&file, &text).map_err(|error| error.to_string())?;
    }
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    if there != text {
        return Err(format!(
            "{} is out of date (UPDATE_CONFORMANCE=1 writes it): {}",
            file.display(),
            page::first_difference(&there, &text)
        ));
    }
    Ok(())
}
