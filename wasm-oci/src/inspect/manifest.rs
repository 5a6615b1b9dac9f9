//! One manifest: what kind of image it makes, and what all kinds have.

use std::io;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest, MediaType};

use super::archive::Archive;
use super::report::{Image, Kind, Layer};
use super::{blobs, image, modules};
use crate::digest::Hashed;
use crate::pack::artifact;

/// Layers that are a module each; two kinds are older than the CNCF's layout.
const MODULE_LAYERS: [&str; 3] = [
    artifact::LAYER,
    "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
];

/// Reads a manifest with all its blobs. An error is a problem that leaves
/// nothing to say of it; others are added to `problems`.
pub fn read(
    archive: &Archive,
    descriptor: &Descriptor,
    name: Option<&str>,
    problems: &mut Vec<String>,
) -> Result<Image, String> {
    let manifest: ImageManifest = blobs::json(archive, descriptor)?;
    let kind = kind(descriptor, &manifest);
    let digest = descriptor.digest().to_string();
    let mut found = Image::new(kind, name.map(Into::into), digest);
    let annotations = manifest.annotations().iter().flatten();
    found.annotations = annotations
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    found.layers = manifest.layers().iter().map(layer).collect();
    found.platform = descriptor.platform().as_ref().map(|platform| {
        let variant = platform.variant().as_deref();
        image::platform(platform.os(), platform.architecture(), variant)
    });
    match kind {
        Kind::Image => {
            match blobs::json::<ImageConfiguration>(archive, manifest.config()) {
                Ok(config) => {
                    image::describe(&config, &mut found, problems);
                    let layers = manifest.layers().iter().map(|layer| image::Source {
                        name: layer.digest().to_string(),
                        bytes: blobs::open(archive, layer),
                        digest: Some(layer.digest().clone()),
                    });
                    let diff_ids = config.rootfs().diff_ids();
                    found.modules = image::modules(layers, diff_ids, problems);
                }
                Err(problem) => problems.push(problem),
            };
        }
        Kind::Artifact => modules::read(archive, &manifest, &mut found, problems),
        Kind::Attestation | Kind::Other => {
            for blob in std::iter::once(manifest.config()).chain(manifest.layers()) {
                problems.extend(check(archive, blob).err());
            }
        }
    }
    Ok(found)
}

fn kind(descriptor: &Descriptor, manifest: &ImageManifest) -> Kind {
    let is_attestation = |annotation: Option<&String>| annotation.is_some();
    let annotations = descriptor.annotations().as_ref();
    if annotations.is_some_and(|all| is_attestation(all.get("vnd.docker.reference.type"))) {
        return Kind::Attestation;
    }
    let is_module = |layer: &Descriptor| MODULE_LAYERS.contains(&layer.media_type().as_ref());
    if manifest.layers().iter().any(is_module) {
        return Kind::Artifact;
    }
    const DOCKER: &str = "application/vnd.docker.container.image.v1+json";
    let config = manifest.config().media_type();
    match *config == MediaType::ImageConfig || *config == MediaType::from(DOCKER) {
        true => Kind::Image,
        false => Kind::Other,
    }
}

fn layer(descriptor: &Descriptor) -> Layer {
    Layer {
        digest: descriptor.digest().to_string(),
        media_type: descriptor.media_type().to_string(),
        size: descriptor.size(),
    }
}

/// Whether a blob is there and undamaged, whatever it is.
fn check(archive: &Archive, descriptor: &Descriptor) -> Result<(), String> {
    let mut blob = Hashed::new(blobs::open(archive, descriptor)?);
    io::copy(&mut blob, &mut io::sink()).map_err(|error| error.to_string())?;
    blobs::check(descriptor.digest(), &blob.finish().1)
}
