//! Blobs of an archive by their descriptors, and whether they are what those say.

use std::io::{self, Read};

use oci_spec::image::{Descriptor, Digest, DigestAlgorithm};
use serde::de::DeserializeOwned;

use super::archive::{Archive, Member};
use crate::digest;

/// More than any index, manifest or configuration has.
const JSON_LIMIT: u64 = 4 << 20;

/// The path of a blob in an OCI layout.
pub fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.digest())
}

/// The blob, if it is there with the right size. An error is a problem, for
/// people.
pub fn open<'a>(archive: &'a Archive, descriptor: &Descriptor) -> Result<Member<'a>, String> {
    let digest = descriptor.digest();
    let member = archive
        .member(&path(digest))
        .ok_or_else(|| format!("blob {digest} is not in the archive"))?;
    if member.size() != descriptor.size() {
        let (has, wanted) = (member.size(), descriptor.size());
        return Err(format!(
            "blob {digest} has {has} bytes and should have {wanted}"
        ));
    }
    Ok(member)
}

/// A blob that is JSON, its digest checked.
pub fn json<T: DeserializeOwned>(archive: &Archive, descriptor: &Descriptor) -> Result<T, String> {
    let digest = descriptor.digest();
    let bytes = small(open(archive, descriptor)?, digest.as_ref())?;
    check(digest, &digest::of(&bytes))?;
    parse(&bytes, digest.as_ref())
}

/// A member that is JSON and has no digest.
pub fn json_member<T: DeserializeOwned>(member: Member<'_>, name: &str) -> Result<T, String> {
    parse(&small(member, name)?, name)
}

/// Compares the digest that a blob should have with the one it has.
pub fn check(wanted: &Digest, found: &Digest) -> Result<(), String> {
    if *wanted.algorithm() != DigestAlgorithm::Sha256 {
        return Err(format!("blob {wanted}: only sha256 digests can be checked"));
    }
    match wanted == found {
        true => Ok(()),
        false => Err(format!("blob {wanted} is damaged: its digest is {found}")),
    }
}

fn small(member: Member<'_>, name: &str) -> Result<Vec<u8>, String> {
    if member.size() > JSON_LIMIT {
        let size = member.size();
        return Err(format!("{name} is too large for what it is: {size} bytes"));
    }
    let mut bytes = Vec::new();
    let mut member = member;
    member
        .read_to_end(&mut bytes)
        .map_err(|error: io::Error| format!("{name} can't be read: {error}"))?;
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T, String> {
    serde_json::from_slice(bytes)
        .map_err(|error| format!("{name} is not what it should be: {error}"))
}
