//! OCI artifacts as archives, right or wrong, beside what `wasm-oci` packs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tar::Builder;

use crate::image::{blob, bytes, finish};

const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image of layers that are no archives.
#[derive(Debug, Clone)]
pub struct Artifact {
    name: String,
    config: &'static str,
    layers: Vec<Layer>,
    platforms: Vec<(&'static str, &'static str)>,
}

#[derive(Debug, Clone)]
struct Layer {
    media_type: String,
    title: Option<String>,
    content: Vec<u8>,
}

impl Artifact {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            config: CONFIG,
            layers: Vec::new(),
            platforms: Vec::new(),
        }
    }

    /// The media type of the configuration.
    pub fn config(mut self, media_type: &'static str) -> Self {
        self.config = media_type;
        self
    }

    pub fn layer(mut self, media_type: &str, title: Option<&str>, content: Vec<u8>) -> Self {
        self.layers.push(Layer {
            media_type: media_type.into(),
            title: title.map(Into::into),
            content,
        });
        self
    }

    /// Makes it an index that has the manifest once for each of these.
    pub fn for_platforms(mut self, platforms: &[(&'static str, &'static str)]) -> Self {
        self.platforms = platforms.to_vec();
        self
    }

    /// Writes the archive.
    pub fn write(&self, path: &Path) {
        let mut archive = Builder::new(Vec::new());
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|layer| {
                let mut blob = blob(&mut archive, &layer.media_type, &layer.content);
                if let Some(title) = &layer.title {
                    blob["annotations"] = json!({"org.opencontainers.image.title": title});
                }
                blob
            })
            .collect();
        let config = json!({
            "architecture": "wasm", "os": "wasip1", "created": "1970-01-01T00:00:00Z",
            // Of layers that are a file system, which these are not.
            "layerDigests": layers.iter().map(|layer| &layer["digest"]).collect::<Vec<_>>(),
            "rootfs": {"type": "layers", "diff_ids": []},
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": blob(&mut archive, self.config, &bytes(&config)),
            "layers": layers,
        });
        let manifest = blob(&mut archive, MANIFEST, &bytes(&manifest));
        let mut entry = match &self.platforms[..] {
            [] => manifest,
            platforms => {
                let manifests: Vec<Value> = platforms
                    .iter()
                    .map(|(os, architecture)| {
                        let mut manifest = manifest.clone();
                        manifest["platform"] = json!({"os": os, "architecture": architecture});
                        manifest
                    })
                    .collect();
                let index = json!({
                    "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests,
                });
                blob(&mut archive, INDEX, &bytes(&index))
            }
        };
        entry["annotations"] = json!({"io.containerd.image.name": self.name});
        fs::write(path, finish(archive, &entry))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}
