//! From the index of an archive to its images.

use std::collections::HashSet;

use oci_spec::image::{Descriptor, Digest, ImageIndex, MediaType};

use super::archive::Archive;
use super::report::{Image, Kind, Report};
use super::{blobs, docker, manifest};

/// What containerd and Docker write the whole name into, and what the OCI has
/// for a name or a tag.
const NAMES: [&str; 2] = [
    "io.containerd.image.name",
    "org.opencontainers.image.ref.name",
];

/// How deep indexes are followed; what tools write has two levels.
const DEPTH: usize = 4;

/// Reads all that the archive's index leads to. An error is the end of a
/// sentence about the archive as a whole.
pub fn archive(archive: &Archive) -> Result<Report, String> {
    let mut walk = Walk {
        archive,
        report: Report::default(),
        seen: HashSet::new(),
    };
    if let Some(member) = archive.member("index.json") {
        let index: ImageIndex = blobs::json_member(member, "index.json")?;
        walk.follow(&index, None, DEPTH);
    } else if let Some(member) = archive.member("manifest.json") {
        docker::images(archive, member, &mut walk.report)?;
    } else {
        return Err("it has neither index.json (OCI) nor manifest.json (Docker)".into());
    }
    let is_there = |image: &Image| image.kind != Kind::Attestation;
    if !walk.report.images.iter().any(is_there) && walk.report.problems.is_empty() {
        walk.report
            .problems
            .push("no image is in the archive".into());
    }
    Ok(walk.report)
}

struct Walk<'a> {
    archive: &'a Archive,
    report: Report,
    seen: HashSet<(Digest, Option<String>)>,
}

impl Walk<'_> {
    /// `name`: that of the index itself, if it is a blob.
    fn follow(&mut self, index: &ImageIndex, name: Option<&str>, depth: usize) {
        for descriptor in index.manifests() {
            let named = descriptor
                .annotations()
                .as_ref()
                .and_then(|annotations| NAMES.iter().find_map(|key| annotations.get(*key)));
            let name = named.map(String::as_str).or(name);
            // Two names for one image are two entries.
            let key = (descriptor.digest().clone(), name.map(Into::into));
            if !self.seen.insert(key) || self.is_elsewhere(descriptor, depth) {
                continue;
            }
            match self.entry(descriptor, name, depth) {
                Ok(()) => {}
                Err(problem) => self.report.problems.push(problem),
            }
        }
    }

    /// Images for other platforms stay in a nested index when an image is
    /// saved for one.
    fn is_elsewhere(&self, descriptor: &Descriptor, depth: usize) -> bool {
        let path = blobs::path(descriptor.digest());
        depth < DEPTH && self.archive.member(&path).is_none()
    }

    fn entry(
        &mut self,
        descriptor: &Descriptor,
        name: Option<&str>,
        depth: usize,
    ) -> Result<(), String> {
        let digest = descriptor.digest();
        match descriptor.media_type() {
            kind if is_index(kind) && depth == 0 => {
                Err(format!("index {digest} lies too deep in others"))
            }
            kind if is_index(kind) => {
                let index = blobs::json(self.archive, descriptor)?;
                self.follow(&index, name, depth - 1);
                Ok(())
            }
            kind if is_manifest(kind) => {
                let report = &mut self.report;
                let image = manifest::read(self.archive, descriptor, name, &mut report.problems)?;
                report.images.push(image);
                Ok(())
            }
            kind => Err(format!("{digest} is of a kind that no image has: {kind}")),
        }
    }
}

fn is_index(kind: &MediaType) -> bool {
    const DOCKER: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    *kind == MediaType::ImageIndex || *kind == MediaType::from(DOCKER)
}

fn is_manifest(kind: &MediaType) -> bool {
    const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
    *kind == MediaType::ImageManifest || *kind == MediaType::from(DOCKER)
}
