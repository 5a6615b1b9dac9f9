//! An archive in the OCI image layout (OCI image spec, "image-layout.md").

use std::collections::HashSet;
use std::io::{self, Read};

use oci_spec::image::{
    Descriptor, Digest, ImageIndexBuilder, ImageManifest, MediaType, OciLayoutBuilder,
    PlatformBuilder,
};
use serde::Serialize;
use tar::{Builder, EntryType, Header};

use super::output::{Output, write_error};
use crate::digest;
use crate::error::{Error, Result};

/// The archive while it is written.
pub struct Layout {
    archive: Builder<Output>,
    written: HashSet<String>,
}

impl Layout {
    pub fn begin(output: Output) -> Result<Self> {
        let mut layout = Self {
            archive: Builder::new(output),
            written: HashSet::new(),
        };
        let version = OciLayoutBuilder::default()
            .image_layout_version("1.0.0")
            .build()
            .expect("a layout with all its fields");
        layout.member("oci-layout", &json(&version))?;
        for folder in ["blobs/", "blobs/sha256/"] {
            layout.append(folder, EntryType::Directory, 0o755, 0, io::empty())?;
        }
        Ok(layout)
    }

    /// Adds bytes in memory as a blob.
    pub fn blob(&mut self, kind: &MediaType, bytes: &[u8]) -> Result<Descriptor> {
        let descriptor = Descriptor::new(kind.clone(), bytes.len() as u64, digest::of(bytes));
        self.stream(&descriptor, bytes)?;
        Ok(descriptor)
    }

    pub fn json_blob(&mut self, kind: &MediaType, value: &impl Serialize) -> Result<Descriptor> {
        self.blob(kind, &json(value))
    }

    /// Adds the blob that `descriptor` describes, once.
    pub fn stream(&mut self, descriptor: &Descriptor, content: impl Read) -> Result<()> {
        let digest: &Digest = descriptor.digest();
        let path = format!("blobs/{}/{}", digest.algorithm(), digest.digest());
        if !self.written.insert(path.clone()) {
            return Ok(());
        }
        self.append(&path, EntryType::Regular, 0o644, descriptor.size(), content)
    }

    /// Adds the manifest and the index that names it, and ends the archive.
    pub fn finish(mut self, manifest: &ImageManifest, target: &Target) -> Result<()> {
        let mut descriptor = self.json_blob(&MediaType::ImageManifest, manifest)?;
        let name = target.name;
        // What containerd and Docker take the whole name from, and what the
        // OCI has for the tag, which skopeo finds an image by.
        let annotations = [
            ("io.containerd.image.name", name.whole()),
            (
                "org.opencontainers.image.ref.name",
                name.tag().unwrap_or_default().into(),
            ),
        ];
        let annotations = annotations.map(|(name, value)| (name.to_owned(), value));
        descriptor.set_annotations(Some(annotations.into()));
        descriptor.set_platform(Some(target.platform()));
        let index = ImageIndexBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageIndex)
            .manifests([descriptor])
            .build()
            .expect("an index with all its fields");
        self.member("index.json", &json(&index))?;
        let place = self.archive.get_ref().place().to_owned();
        self.archive
            .into_inner()
            .map_err(|source| write_error(&place, source))?
            .finish()
    }

    /// The name of the output, for messages.
    pub fn output(&self) -> &Output {
        self.archive.get_ref()
    }

    fn member(&mut self, path: &str, content: &[u8]) -> Result<()> {
        let size = content.len() as u64;
        self.append(path, EntryType::Regular, 0o644, size, content)
    }

    fn append(
        &mut self,
        path: &str,
        kind: EntryType,
        mode: u32,
        size: u64,
        content: impl Read,
    ) -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        self.archive
            .append_data(&mut header, path, content)
            .map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> Error {
        write_error(self.archive.get_ref().place(), source)
    }
}

/// What the index says about the manifest.
#[derive(Debug)]
pub struct Target<'a> {
    pub name: &'a oci_spec::distribution::Reference,
    pub platform: &'a super::arguments::Platform,
}

impl Target<'_> {
    fn platform(&self) -> oci_spec::image::Platform {
        let platform = PlatformBuilder::default()
            .os(self.platform.os.as_str())
            .architecture(self.platform.architecture.as_str());
        match &self.platform.variant {
            Some(variant) => platform.variant(variant.as_str()),
            None => platform,
        }
        .build()
        .expect("a platform with all its fields")
    }
}

/// JSON with its keys sorted: maps of oci-spec have no order of their own.
fn json(value: &impl Serialize) -> Vec<u8> {
    let mut value = serde_json::to_value(value).expect("keys are strings");
    value.sort_all_objects();
    value.to_string().into_bytes()
}
