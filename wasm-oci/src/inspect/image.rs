//! An ordinary image: how it is run, and the modules in its file system.

use std::io::Read;

use oci_spec::image::{Arch, Digest, ImageConfiguration, Os};

use super::archive::Member;
use super::blobs;
use super::report::{Image, Module};
use super::scan::{self, Modules};

/// A layer to read.
pub struct Source<'a> {
    /// What to call it.
    pub name: String,
    pub bytes: Result<Member<'a>, String>,
    /// What it should have, if the archive says.
    pub digest: Option<Digest>,
}

/// Fills in what the configuration says.
pub fn describe(config: &ImageConfiguration, image: &mut Image, problems: &mut Vec<String>) {
    let platform = platform(
        config.os(),
        config.architecture(),
        config.variant().as_deref(),
    );
    if let Some(index) = image.platform.as_ref().filter(|index| **index != platform) {
        let digest = &image.digest;
        problems.push(format!(
            "manifest {digest} is for {index} by the index and for {platform} by its configuration"
        ));
    }
    image.platform = Some(platform);
    image.created.clone_from(config.created());
    let Some(config) = config.config() else {
        return;
    };
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    image.entrypoint = list(config.entrypoint());
    image.cmd = list(config.cmd());
    image.env = list(config.env());
    image.working_dir.clone_from(config.working_dir());
    image.user.clone_from(config.user());
    image
        .labels
        .extend(config.labels().clone().unwrap_or_default());
}

pub fn platform(os: &Os, architecture: &Arch, variant: Option<&str>) -> String {
    let variant = variant.filter(|variant| !variant.is_empty());
    let variant = variant.map(|variant| format!("/{variant}"));
    format!("{os}/{architecture}{}", variant.unwrap_or_default())
}

/// Reads all layers, the lowest first, and checks them against the DiffIDs of
/// the configuration.
pub fn modules<'a>(
    layers: impl ExactSizeIterator<Item = Source<'a>>,
    diff_ids: &[String],
    problems: &mut Vec<String>,
) -> Vec<Module> {
    if layers.len() != diff_ids.len() {
        let (layers, diff_ids) = (layers.len(), diff_ids.len());
        problems.push(format!(
            "there are {layers} layers, and the configuration lists {diff_ids}"
        ));
    }
    let mut modules = Modules::new();
    for (index, layer) in layers.enumerate() {
        let name = layer.name.clone();
        let diff_id = diff_ids.get(index).map(String::as_str);
        if let Err(problem) = read(layer, diff_id, &mut modules, problems) {
            problems.push(format!("layer {name}: {problem}"));
        }
    }
    modules.into_values().collect()
}

fn read(
    layer: Source<'_>,
    diff_id: Option<&str>,
    modules: &mut Modules,
    problems: &mut Vec<String>,
) -> Result<(), String> {
    let mut bytes = layer.bytes?;
    let scanned = scan::layer(bytes.by_ref(), modules, problems)?;
    if let Some(digest) = &layer.digest {
        blobs::check(digest, &scanned.digest)?;
    }
    match diff_id {
        Some(diff_id) if diff_id != scanned.diff_id.as_ref() => Err(format!(
            "it unpacks to {}, and the configuration wants {diff_id}",
            scanned.diff_id
        )),
        _ => Ok(()),
    }
}
