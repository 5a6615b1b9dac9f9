use std::os::fd::OwnedFd;
use std::path::Path;

use oci_spec::runtime::Mount;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2};
use rustix::io::{Errno, Result};

use crate::{Bundle, is_bind};

/// What a container will find at its paths, seen from the host before the
/// container is made: in its rootfs, which is mounted, and in its bind mounts.
/// No link of an image leads to the host's files.
#[derive(Debug)]
pub struct Files<'a> {
    bundle: &'a Bundle,
    root: Result<OwnedFd>,
}

impl<'a> Files<'a> {
    pub fn of(bundle: &'a Bundle) -> Self {
        let rootfs = bundle.rootfs().map_err(|_| Errno::NOENT);
        Self {
            bundle,
            root: rootfs.and_then(|rootfs| folder(&rootfs)),
        }
    }

    /// Opens what is at an absolute path of the container.
    pub fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        // A later mount covers an earlier one.
        let mut mounts = self.bundle.spec.mounts().iter().flatten();
        match mounts.rfind(|mount| path.starts_with(mount.destination())) {
            Some(mount) => self.open_mounted(mount, path, flags),
            None => self.open_in_root(path, flags),
        }
    }

    /// The same without regard for mounts.
    pub fn open_in_root(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        match &self.root {
            Ok(root) => open_below(root, path, flags),
            Err(error) => Err(*error),
        }
    }

    /// What is mounted new has no files yet.
    fn open_mounted(&self, mount: &Mount, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        let source = mount.source().as_ref().filter(|_| is_bind(mount));
        let source = self.bundle.path.join(source.ok_or(Errno::NOENT)?);
        match path.strip_prefix(mount.destination()) {
            Ok(rest) if !rest.as_os_str().is_empty() => open_below(&folder(&source)?, rest, flags),
            _ => {
                let flags = flags | OFlags::CLOEXEC;
                openat2(
                    CWD,
                    &source,
                    flags,
                    Mode::empty(),
                    ResolveFlags::NO_MAGICLINKS,
                )
            }
        }
    }
}

fn folder(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty())
}

/// With the folder as the root that links count from.
fn open_below(folder: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::CLOEXEC;
    again(|| openat2(folder, path, flags, Mode::empty(), resolve))
}

/// How often to look for a path again, as libpathrs does.
const ATTEMPTS: u32 = 128;

/// Looks for a path within a root, which the kernel gives up where the path has
/// `..` and anything anywhere is renamed or mounted meanwhile (openat2(2), EAGAIN).
pub fn again<T>(mut open: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..ATTEMPTS {
        match open() {
            Err(Errno::AGAIN) => {}
            opened => return opened,
        }
    }
    open()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A bundle with a rootfs, and a folder beside it that is mounted at /mnt.
    fn bundle(name: &str) -> Bundle {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        for folder in ["rootfs/bin", "rootfs/mnt", "rootfs/tmp", "data"] {
            fs::create_dir_all(path.join(folder)).unwrap();
        }
        for file in [
            "rootfs/bin/app",
            "rootfs/mnt/covered",
            "rootfs/tmp/covered",
            "data/app",
        ] {
            fs::write(path.join(file), "").unwrap();
        }
        symlink("/bin", path.join("rootfs/link")).unwrap();
        symlink("/etc", path.join("rootfs/host")).unwrap();
        let config = r#"{"ociVersion":"1.0.2","root":{"path":"rootfs"},"mounts":[
            {"destination":"/mnt","type":"bind","source":"data","options":["rbind"]},
            {"destination":"/one","type":"bind","source":"data/app","options":["bind"]},
            {"destination":"/none","type":"bind","source":"no/such","options":["bind"]},
            {"destination":"/tmp","type":"tmpfs","source":"tmpfs"}]}"#;
        fs::write(path.join("config.json"), config).unwrap();
        Bundle::load(&path).unwrap()
    }

    #[test]
    fn files_are_found_where_the_container_has_them() {
        let bundle = bundle("files");
        let files = Files::of(&bundle);
        let open = |path: &str| files.open(Path::new(path), OFlags::PATH);
        for there in ["/bin/app", "/link/app", "/mnt/app", "/one", "/bin"] {
            assert!(open(there).is_ok(), "{there}");
        }
        // A link of the image counts from its root: the host has this file.
        assert!(Path::new("/etc/passwd").exists());
        for missing in [
            "/app",
            "/host/passwd",
            "/mnt/covered",
            "/tmp/covered",
            "/none",
            "/bin/app/x",
        ] {
            let error = open(missing).unwrap_err();
            assert!(matches!(error, Errno::NOENT | Errno::NOTDIR), "{missing}");
        }
        let covered = files.open_in_root(Path::new("/mnt/covered"), OFlags::PATH);
        assert!(covered.is_ok());
        fs::remove_dir_all(&bundle.path).unwrap();
    }
}
