//! `wasm-oci inspect`.

mod archive;
mod blobs;
mod docker;
mod image;
mod manifest;
mod modules;
mod report;
mod scan;
mod text;
mod walk;

use std::io::{self, Write};
use std::path::Path;

use crate::cli::Inspect;
use crate::error::{Error, Result};
use archive::Archive;
use report::Report;

/// Prints what is in the archive; what is wrong with it comes as an error.
pub fn run(options: &Inspect) -> Result<()> {
    let report = read(&options.archive)?;
    let text = match options.json {
        true => serde_json::to_string_pretty(&report).expect("keys are strings") + "\n",
        false => text::report(&report),
    };
    // A reader that has seen enough, such as head, is no failure.
    drop(io::stdout().write_all(text.as_bytes()));
    for problem in &report.problems {
        eprintln!("wasm-oci: {}", text::clean(problem));
    }
    match report.problems.len() {
        0 => Ok(()),
        count => Err(Error::Problems {
            path: options.archive.clone(),
            problems: if count == 1 {
                "1 problem".into()
            } else {
                format!("{count} problems")
            },
        }),
    }
}

fn read(path: &Path) -> Result<Report> {
    let archive = Archive::open(path)?;
    walk::archive(&archive).map_err(|reason| Error::NotAnArchive {
        path: path.into(),
        reason,
    })
}

#[cfg(test)]
mod tests;
