//! Archives in Docker's own layout, as `docker save` wrote them before Docker
//! 25, and `buildx --output type=docker` does.

use std::io::{self, Read};

use oci_spec::image::ImageConfiguration;
use serde::Deserialize;

use super::archive::{Archive, Member};
use super::report::{Image, Kind, Layer, Report};
use super::{blobs, image};
use crate::digest::Hashed;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Reads what `manifest.json` lists. An error is the end of a sentence.
pub fn images(archive: &Archive, manifest: Member<'_>, report: &mut Report) -> Result<(), String> {
    let entries: Vec<Entry> = blobs::json_member(manifest, "manifest.json")?;
    for entry in &entries {
        match read(archive, entry, &mut report.problems) {
            Ok(image) => report.images.push(image),
            Err(problem) => report.problems.push(problem),
        }
    }
    Ok(())
}

fn read(archive: &Archive, entry: &Entry, problems: &mut Vec<String>) -> Result<Image, String> {
    let name = entry.repo_tags.iter().flatten().next().cloned();
    let config: ImageConfiguration =
        blobs::json_member(open(archive, &entry.config)?, &entry.config)?;
    let digest = digest(open(archive, &entry.config)?)?;
    let mut found = Image::new(Kind::Image, name, digest);
    image::describe(&config, &mut found, problems);
    found.layers = entry
        .layers
        .iter()
        .map(|path| Layer {
            digest: path.clone(),
            media_type: "application/vnd.docker.image.rootfs.diff.tar".into(),
            size: archive.member(path).map_or(0, |member| member.size()),
        })
        .collect();
    let layers = entry.layers.iter().map(|path| image::Source {
        name: path.clone(),
        bytes: open(archive, path),
        digest: None,
    });
    found.modules = image::modules(layers, config.rootfs().diff_ids(), problems);
    Ok(found)
}

fn open<'a>(archive: &'a Archive, path: &str) -> Result<Member<'a>, String> {
    archive
        .member(path)
        .ok_or_else(|| format!("{path} is not in the archive"))
}

/// Of the configuration: there is no manifest, and this is Docker's image id.
fn digest(config: Member<'_>) -> Result<String, String> {
    let mut hashed = Hashed::new(config);
    io::copy(hashed.by_ref(), &mut io::sink()).map_err(|error| error.to_string())?;
    Ok(hashed.finish().1.to_string())
}
