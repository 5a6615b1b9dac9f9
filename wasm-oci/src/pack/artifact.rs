//! An OCI artifact: modules as layers, without a file system (CNCF TAG
//! Runtime, "Wasm OCI Artifact layout").

use oci_spec::image::{Descriptor, ImageManifest, ImageManifestBuilder, MediaType};
use serde_json::json;

use super::arguments::Platform;
use super::layout::Layout;
use super::source::Source;
use crate::cli::Pack;
use crate::error::{Error, Result};

pub const CONFIG: &str = "application/vnd.wasm.config.v0+json";
pub const LAYER: &str = "application/wasm";
pub const TITLE: &str = "org.opencontainers.image.title";

/// What readers of this kind of artifact take for no date at all: they refuse
/// a configuration without one.
const NO_DATE: &str = "1970-01-01T00:00:00Z";

/// The modules of an artifact, in the order of its layers.
#[derive(Debug)]
pub struct Artifact {
    modules: Vec<Source>,
    created: Option<String>,
}

impl Artifact {
    pub fn new(entry: Source, imports: Vec<(String, Source)>, created: Option<String>) -> Self {
        let imports = imports.into_iter().map(|(_, source)| source);
        Self {
            modules: std::iter::once(entry).chain(imports).collect(),
            created,
        }
    }

    /// Writes the blobs and returns the manifest that holds them together.
    pub fn write(&self, layout: &mut Layout) -> Result<ImageManifest> {
        let mut layers: Vec<Descriptor> = Vec::new();
        for module in &self.modules {
            let mut layer = layout.blob(&MediaType::from(LAYER), &module.bytes)?;
            layer.set_annotations(Some([(TITLE.to_owned(), module.name.clone())].into()));
            layers.push(layer);
        }
        let digests: Vec<&str> = layers.iter().map(|layer| layer.digest().as_ref()).collect();
        let config = json!({
            "architecture": platform().architecture,
            "created": self.created.as_deref().unwrap_or(NO_DATE),
            "layerDigests": digests,
            "os": platform().os,
        });
        let config = layout.json_blob(&MediaType::from(CONFIG), &config)?;
        Ok(ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(config)
            .layers(layers)
            .build()
            .expect("a manifest with all its fields"))
    }
}

/// What all artifacts of modules are for.
pub fn platform() -> Platform {
    Platform {
        os: "wasip1".into(),
        architecture: "wasm".into(),
        variant: None,
    }
}

/// An artifact holds modules and nothing about running them.
pub fn check(options: &Pack) -> Result<()> {
    const CONTAINER: &str = "give it to the container that runs it";
    const FILES: &str = "mount the files into the container that runs it";
    const ENTRYPOINT: &str =
        "give the container that runs it the annotation io.containerd.wasm.entrypoint";
    for (flag, is_given, instead) in [
        ("--env", !options.env.is_empty(), CONTAINER),
        ("--label", !options.label.is_empty(), CONTAINER),
        ("--add", !options.add.is_empty(), FILES),
        ("--workdir", options.workdir.is_some(), CONTAINER),
        ("--user", options.user.is_some(), CONTAINER),
        ("--entrypoint", options.entrypoint.is_some(), ENTRYPOINT),
        ("-- ARGS", !options.args.is_empty(), CONTAINER),
    ] {
        if is_given {
            return Err(Error::NotInArtifact { flag, instead });
        }
    }
    match &options.platform {
        Some(other) if *other != platform() => Err(Error::ArtifactPlatform(other.to_string())),
        _ => Ok(()),
    }
}
