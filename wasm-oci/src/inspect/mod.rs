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
pub use archive::Archive;
use archive::Member;
pub use report::{Image, Kind};
use report::{Layer, Report};
pub use scan::files;
pub use text::clean;

/// Prints what is in the archive; what is wrong with it comes as an error.
pub fn run(options: &Inspect) -> Result<()> {
    let report = read(&options.archive)?;
    let text = match options.json {
        true => serde_json::to_string_pretty(&report).expect("keys are strings") + "\n",
        false => text::report(&report),
    };
    // A reader that has seen enough, such as head, is no failure.
    drop(io::stdout().write_all(text.as_bytes()));
    check(&options.archive, &report.problems)
}

/// Tells of what is wrong with an archive, if anything is.
pub fn check(path: &Path, problems: &[String]) -> Result<()> {
    for problem in problems {
        eprintln!("wasm-oci: {}", clean(problem));
    }
    match problems.len() {
        0 => Ok(()),
        count => Err(Error::Problems {
            path: path.into(),
            problems: if count == 1 {
                "1 problem".into()
            } else {
                format!("{count} problems")
            },
        }),
    }
}

fn read(path: &Path) -> Result<Report> {
    examine(&Archive::open(path)?, path)
}

/// All that is in an archive, which lies at `path`.
pub fn examine(archive: &Archive, path: &Path) -> Result<Report> {
    walk::archive(archive).map_err(|reason| Error::NotAnArchive {
        path: path.into(),
        reason,
    })
}

/// The bytes of a layer of an image of this archive.
pub fn layer<'a>(archive: &'a Archive, layer: &Layer) -> std::result::Result<Member<'a>, String> {
    let blob = layer.digest.replacen(':', "/", 1);
    let blob = archive.member(&format!("blobs/{blob}"));
    // Docker's own layout has paths in place of digests.
    blob.or_else(|| archive.member(&layer.digest))
        .ok_or_else(|| format!("layer {} is not in the archive", layer.digest))
}

#[cfg(test)]
mod tests;
