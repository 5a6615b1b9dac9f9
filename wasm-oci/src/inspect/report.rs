//! What there is to say about an archive, for programs as it is.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::module;

#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub images: Vec<Image>,
    /// One sentence each.
    pub problems: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Layers are a file system.
    Image,
    /// Layers are modules.
    Artifact,
    /// What buildx puts beside an image: where it came from.
    Attestation,
    /// An artifact of another kind.
    Other,
}

#[derive(Debug, Serialize)]
pub struct Image {
    pub name: Option<String>,
    /// Of the manifest.
    pub digest: String,
    pub kind: Kind,
    pub platform: Option<String>,
    pub created: Option<String>,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub env: Vec<String>,
    pub working_dir: Option<String>,
    pub user: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// Of the manifest.
    pub annotations: BTreeMap<String, String>,
    pub layers: Vec<Layer>,
    /// What a container finds; of an artifact, in the order of its layers.
    pub modules: Vec<Module>,
}

impl Image {
    pub fn new(kind: Kind, name: Option<String>, digest: String) -> Self {
        Self {
            name,
            digest,
            kind,
            platform: None,
            created: None,
            entrypoint: Vec::new(),
            cmd: Vec::new(),
            env: Vec::new(),
            working_dir: None,
            user: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            layers: Vec::new(),
            modules: Vec::new(),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct Layer {
    pub digest: String,
    pub media_type: String,
    /// In the archive, so possibly compressed.
    pub size: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Module {
    /// In the file system; of an artifact, the title.
    pub path: String,
    pub size: u64,
    /// `module`, `component` or `unknown`.
    pub format: &'static str,
    #[serde(flatten)]
    pub content: module::Module,
}
