//! `wasm-oci pack`.

mod add;
pub mod arguments;
pub mod artifact;
mod hint;
mod image;
mod layer;
mod layout;
mod output;
mod source;
mod tree;

use std::env;
use std::path::Path;

use chrono::{DateTime, SecondsFormat};
use oci_spec::distribution::Reference;

use crate::cli::Pack;
use crate::error::{Error, Result};
use arguments::{Pair, Platform};
use artifact::Artifact;
use image::Image;
use layout::{Layout, Target};
use output::Output;

/// Lists the modules that others can import from: `name=/path.wasm,…`.
pub const IMPORT_MODULES: &str = "io.containerd.wasm.import-modules";

/// Packs, and says on standard error what to do with the archive.
pub fn run(options: &Pack) -> Result<()> {
    let created = created(env::var("SOURCE_DATE_EPOCH").ok().as_deref())?;
    eprint!("{}", pack(options, created)?);
    Ok(())
}

/// Returns what to do with the archive.
pub fn pack(options: &Pack, created: Option<String>) -> Result<String> {
    let name = match &options.tag {
        Some(name) => name.clone(),
        None => default_name(&options.module)?,
    };
    match options.artifact {
        true => pack_artifact(options, &name, created),
        false => pack_image(options, &name, created),
    }
}

/// All is read and checked before the output is touched.
fn pack_image(options: &Pack, name: &Reference, created: Option<String>) -> Result<String> {
    let platform = options.platform.clone();
    let platform = platform.unwrap_or_else(|| default_platform(options.native));
    let entry = match options.native {
        true => source::native(&options.module)?,
        false => {
            let (entry, module) = source::entry(&options.module)?;
            source::check_entrypoint(&module, &entry.file, options.entrypoint.as_deref())?;
            entry
        }
    };
    let imports = source::imports(&options.import)?;
    let image = Image::new(options, &platform, entry, imports, created)?;
    let mut layout = Layout::begin(Output::create(&options.output)?)?;
    let manifest = image.write(&mut layout)?;
    let platform = &platform;
    layout.finish(&manifest, &Target { name, platform })?;
    let archive = options.output.to_string_lossy();
    let modules = image.import_modules.as_deref();
    if options.native {
        return Ok(hint::native(&archive, name, platform));
    }
    Ok(hint::image(&archive, name, platform, modules))
}

fn pack_artifact(options: &Pack, name: &Reference, created: Option<String>) -> Result<String> {
    artifact::check(options)?;
    let platform = &artifact::platform();
    let (entry, _) = source::entry(&options.module)?;
    let program = entry.name.clone();
    let artifact = Artifact::new(entry, source::imports(&options.import)?, created);
    let mut layout = Layout::begin(Output::create(&options.output)?)?;
    let manifest = artifact.write(&mut layout)?;
    layout.finish(&manifest, &Target { name, platform })?;
    let archive = options.output.to_string_lossy();
    Ok(hint::artifact(&archive, name, platform, &program))
}

fn default_platform(native: bool) -> Platform {
    let (os, architecture) = match native {
        false => ("wasi", "wasm"),
        // Go's names for architectures, which images have.
        true => match env::consts::ARCH {
            "x86_64" => ("linux", "amd64"),
            "aarch64" => ("linux", "arm64"),
            other => ("linux", other),
        },
    };
    Platform {
        os: os.into(),
        architecture: architecture.into(),
        variant: None,
    }
}

/// `localhost/APP:latest`: on no registry, so never taken for one from there.
fn default_name(module: &Path) -> Result<Reference> {
    let stem = module.file_stem().unwrap_or_default();
    let name = format!("localhost/{}", stem.to_string_lossy().to_lowercase());
    // A colon would begin a tag.
    arguments::reference(&name)
        .ok()
        .filter(|_| !name.contains(':'))
        .ok_or_else(|| Error::NoTag(module.into()))
}

/// The creation date, if one is wanted (reproducible-builds.org).
fn created(epoch: Option<&str>) -> Result<Option<String>> {
    let Some(text) = epoch else {
        return Ok(None);
    };
    text.parse()
        .ok()
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .map(|date| Some(date.to_rfc3339_opts(SecondsFormat::Secs, true)))
        .ok_or_else(|| Error::SourceDateEpoch(text.into()))
}

/// Refuses a name that comes twice: which of the two holds would be a guess.
fn unique(flag: &'static str, pairs: &[Pair]) -> Result<()> {
    for (index, pair) in pairs.iter().enumerate() {
        if pairs[..index].iter().any(|other| other.name == pair.name) {
            let name = pair.name.clone();
            return Err(Error::Duplicate { flag, name });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
