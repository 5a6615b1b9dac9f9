//! OCI images as archives that `ctr images import` takes.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType};

use crate::entry::{self, Entry};

/// An image of one layer; the same description makes the same archive.
#[derive(Debug, Clone)]
pub struct Image {
    /// The full name, such as `localhost/guest:1`.
    pub name: String,
    /// `linux/amd64` or `wasi/wasm`.
    pub platform: (&'static str, &'static str),
    pub entries: Vec<Entry>,
    /// The `config` object of the image: Entrypoint, Cmd, Env, WorkingDir, User.
    pub config: Value,
}

impl Image {
    pub fn new(name: &str, entries: Vec<Entry>, config: Value) -> Self {
        Self {
            name: name.into(),
            platform: ("linux", machine()),
            entries,
            config,
        }
    }

    pub fn for_platform(mut self, os: &'static str, architecture: &'static str) -> Self {
        self.platform = (os, architecture);
        self
    }

    /// Writes the image as an archive in the OCI layout.
    pub fn write(&self, path: &Path) {
        fs::write(path, self.archive())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    fn archive(&self) -> Vec<u8> {
        let mut archive = Builder::new(Vec::new());
        let (os, architecture) = self.platform;
        let layer = entry::layer(&self.entries);
        let config = json!({
            "architecture": architecture,
            "os": os,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob(&mut archive, "application/vnd.oci.image.config.v1+json", &bytes(&config)),
            "layers": [blob(&mut archive, "application/vnd.oci.image.layer.v1.tar", &layer)],
        });
        let mut entry = blob(
            &mut archive,
            "application/vnd.oci.image.manifest.v1+json",
            &bytes(&manifest),
        );
        entry["platform"] = json!({"os": os, "architecture": architecture});
        entry["annotations"] = json!({"io.containerd.image.name": self.name});
        finish(archive, &entry)
    }
}

/// Ends an archive whose one image is at `entry`.
pub fn finish(mut archive: Builder<Vec<u8>>, entry: &Value) -> Vec<u8> {
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    member(&mut archive, "index.json", &bytes(&index));
    let layout = json!({"imageLayoutVersion": "1.0.0"});
    member(&mut archive, "oci-layout", &bytes(&layout));
    archive.into_inner().expect("a tar archive in memory")
}

/// Go's name for this machine's architecture.
fn machine() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Adds a blob and returns its descriptor.
pub fn blob(archive: &mut Builder<Vec<u8>>, media_type: &str, content: &[u8]) -> Value {
    let digest = digest(content);
    member(
        archive,
        &format!("blobs/{}", digest.replace(':', "/")),
        content,
    );
    json!({"mediaType": media_type, "digest": digest, "size": content.len()})
}

pub fn member(archive: &mut Builder<Vec<u8>>, path: &str, content: &[u8]) {
    entry::append(archive, path, EntryType::Regular, 0o644, content);
}

pub fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// As OCI writes it.
pub fn digest(content: &[u8]) -> String {
    let hex: String = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_description_makes_the_same_archive() {
        let image = || {
            Image::new(
                "a:1",
                vec![Entry::file("/a", 0o644, "x")],
                json!({"Cmd": ["/a"]}),
            )
        };
        assert_eq!(image().archive(), image().archive());
        assert_eq!(
            digest(b""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
