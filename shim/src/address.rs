use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use crate::error::{Context, Result};
use crate::socket::is_served;

/// Where shims' sockets are, by containerd's convention.
const FOLDER: &str = "/run/containerd/s";

/// The file in a bundle that tells containerd 1.x where its shim listens.
pub const ADDRESS_FILE: &str = "address";

/// The socket of a shim, named after all that a shim is for: containerd's
/// address, the namespace, and the pod or container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(PathBuf);

impl Address {
    pub fn of(containerd: &str, namespace: &str, group: &str) -> Self {
        let name = Sha256::digest(format!("{containerd}/{namespace}/wasm/{group}"));
        let mut hex = String::with_capacity(64);
        for byte in name {
            hex.push_str(&format!("{byte:02x}"));
        }
        Self(Path::new(FOLDER).join(hex))
    }

    /// The address in a bundle, if its shim has come so far as to write it.
    pub fn read(bundle: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(bundle.join(ADDRESS_FILE)).ok()?;
        let path = text.strip_prefix("unix://")?;
        Some(Self(path.into()))
    }

    pub fn write(&self, bundle: &Path) -> Result<()> {
        let file = bundle.join(ADDRESS_FILE);
        // Of this process alone: two may be started for one bundle at once.
        let fresh = bundle.join(format!(".address-{}", std::process::id()));
        std::fs::write(&fresh, self.to_string())
            .and_then(|()| std::fs::rename(&fresh, &file))
            .at("can't write", file)
    }

    /// Listens, or says with `None` that another shim does already. A socket
    /// that a dead shim left is replaced.
    pub fn bind(&self) -> Result<Option<UnixListener>> {
        // Two that find a dead shim's socket must not each remove what the
        // other one has bound.
        let _folder = lock()?;
        if is_served(&self.0) {
            return Ok(None);
        }
        let _ = std::fs::remove_file(&self.0);
        let listener = UnixListener::bind(&self.0).at("can't listen at", &self.0)?;
        std::fs::set_permissions(&self.0, PermissionsExt::from_mode(0o600))
            .at("can't protect", &self.0)?;
        Ok(Some(listener))
    }

    /// The socket that is there now, to be removed by who is sure to own it.
    pub fn own(self) -> Option<OwnSocket> {
        let inode = inode(&self.0)?;
        Some(OwnSocket {
            path: self.0,
            inode,
        })
    }

    /// Removes a socket that a dead shim left; returns whether there is none now.
    pub fn remove_unless_served(&self) -> bool {
        let _folder = lock();
        let is_left = !is_served(&self.0);
        if is_left {
            let _ = std::fs::remove_file(&self.0);
        }
        is_left
    }
}

/// A socket as it was bound: another one may be there in its place later.
#[derive(Debug)]
pub struct OwnSocket {
    path: PathBuf,
    inode: (u64, u64),
}

impl OwnSocket {
    /// Removes the socket; one that is gone already is fine.
    pub fn remove(&self) {
        let _folder = lock();
        if inode(&self.path) == Some(self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let file = std::fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// Keeps others from binding and removing sockets, until it is dropped.
fn lock() -> Result<File> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(FOLDER)
        .at("can't create", FOLDER)?;
    let folder = File::open(FOLDER).at("can't open", FOLDER)?;
    flock(&folder, FlockOperation::LockExclusive).at("can't lock", FOLDER)?;
    Ok(folder)
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unix://{}", self.0.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_makes_another_socket() {
        let one = Address::of("/run/c.sock", "default", "a");
        assert_eq!(one, Address::of("/run/c.sock", "default", "a"));
        for other in [
            Address::of("/run/d.sock", "default", "a"),
            Address::of("/run/c.sock", "k8s.io", "a"),
            Address::of("/run/c.sock", "default", "b"),
        ] {
            assert_ne!(one, other);
        }
        // The longest path of a Unix socket (unix(7)).
        assert!(one.0.as_os_str().len() < 108);
    }
}
