//! An artifact: its layers are modules.

use std::io::Read;

use oci_spec::image::{Descriptor, ImageManifest};
use serde_json::Value;

use super::archive::Archive;
use super::report::{Image, Module};
use super::{blobs, scan};
use crate::digest;
use crate::pack::artifact;

/// Fills in the modules, and what the configuration says.
pub fn read(
    archive: &Archive,
    manifest: &ImageManifest,
    image: &mut Image,
    problems: &mut Vec<String>,
) {
    match blobs::json::<Value>(archive, manifest.config()) {
        Ok(config) => describe(&config, manifest, image, problems),
        Err(problem) => problems.push(problem),
    }
    for layer in manifest.layers() {
        match module(archive, layer, problems) {
            Ok(module) => image.modules.push(module),
            Err(problem) => problems.push(problem),
        }
    }
}

fn describe(
    config: &Value,
    manifest: &ImageManifest,
    image: &mut Image,
    problems: &mut Vec<String>,
) {
    let text = |key: &str| config[key].as_str().map(str::to_owned);
    if let (Some(os), Some(architecture)) = (text("os"), text("architecture")) {
        image.platform = Some(format!("{os}/{architecture}"));
    }
    image.created = text("created");
    if manifest.config().media_type().as_ref() != artifact::CONFIG {
        return;
    }
    let wanted: Vec<&str> = config["layerDigests"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let layers = manifest.layers().iter();
    if !layers.map(|layer| layer.digest().as_ref()).eq(wanted) {
        let digest = &image.digest;
        problems.push(format!(
            "manifest {digest}: layerDigests of its configuration are not those of its layers"
        ));
    }
}

fn module(
    archive: &Archive,
    layer: &Descriptor,
    problems: &mut Vec<String>,
) -> Result<Module, String> {
    let digest = layer.digest();
    let mut blob = blobs::open(archive, layer)?;
    if blob.size() > scan::MODULE_LIMIT {
        return Err(format!("layer {digest} is too large to be looked into"));
    }
    let mut bytes = Vec::new();
    blob.read_to_end(&mut bytes)
        .map_err(|error| format!("layer {digest}: {error}"))?;
    blobs::check(digest, &digest::of(&bytes))?;
    let title = layer
        .annotations()
        .as_ref()
        .and_then(|annotations| annotations.get(artifact::TITLE));
    let title = title.cloned().unwrap_or_else(|| digest.to_string());
    Ok(scan::look_into(title, &bytes, problems))
}
