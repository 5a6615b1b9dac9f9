use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci::spec::Spec;
use oci::{Bundle, Workload, is_bind};
use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::io::Errno;

use crate::content::{Content, Modules, Whose};
use crate::error::Result;

/// The modules of a container that is made of an artifact.
///
/// One that no annotation names is only looked for if the container's program
/// is not in its files. To look for that is all that other containers pay, and
/// no guess: an artifact's root is empty at first, but not when the container is
/// started again. The rootfs is mounted.
pub async fn modules(bundle: &Bundle, id: &str, content: &Content) -> Result<Modules> {
    // What is wrong with a bundle the launcher says.
    let Ok(workload) = Workload::from_spec(&bundle.spec) else {
        return Ok(Modules::default());
    };
    if let Some(name) = &workload.wishes.artifact {
        return content.modules(Whose::Image(name)).await;
    }
    let workload = workload.without_init().unwrap_or(workload);
    let files = Files::of(bundle);
    let candidates = workload.candidates();
    if candidates
        .iter()
        .any(|candidate| files.have(&candidate.path))
    {
        return Ok(Modules::default());
    }
    content.modules(Whose::Container(id)).await
}

/// What a container will find at its paths, seen from the host.
struct Files<'a> {
    root: Option<OwnedFd>,
    spec: &'a Spec,
    bundle: &'a Path,
}

impl<'a> Files<'a> {
    fn of(bundle: &'a Bundle) -> Self {
        let root = bundle.rootfs().ok().and_then(|root| folder(&root));
        Self {
            root,
            spec: &bundle.spec,
            bundle: &bundle.path,
        }
    }

    /// What can't be told counts as there: the guest's side looks again.
    fn have(&self, path: &Path) -> bool {
        match self.mounted(path) {
            Some((source, rest)) if rest.as_os_str().is_empty() => source.exists(),
            Some((source, rest)) => folder(&source).is_none_or(|folder| has(&folder, rest)),
            None => self.root.as_ref().is_none_or(|root| has(root, path)),
        }
    }

    /// The source of the bind mount that a path leads to, and the rest of it.
    fn mounted<'b>(&self, path: &'b Path) -> Option<(PathBuf, &'b Path)> {
        // A later mount covers an earlier one.
        let mounts = self.spec.mounts().iter().flatten().rev();
        mounts.filter(|mount| is_bind(mount)).find_map(|mount| {
            let rest = path.strip_prefix(mount.destination()).ok()?;
            Some((self.bundle.join(mount.source().as_ref()?), rest))
        })
    }
}

fn folder(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).ok()
}

/// Whether there is something at `path` with `folder` as the root: no link of
/// an image leads to the host's files.
fn has(folder: &OwnedFd, path: &Path) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = openat2(folder, path, flags, Mode::empty(), resolve);
    !matches!(found, Err(Errno::NOENT | Errno::NOTDIR))
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
        for folder in ["rootfs/bin", "rootfs/mnt", "data"] {
            fs::create_dir_all(path.join(folder)).unwrap();
        }
        fs::write(path.join("rootfs/bin/app"), "").unwrap();
        fs::write(path.join("rootfs/mnt/covered"), "").unwrap();
        fs::write(path.join("data/app"), "").unwrap();
        symlink("/bin", path.join("rootfs/link")).unwrap();
        symlink("/etc", path.join("rootfs/host")).unwrap();
        let config = r#"{"ociVersion":"1.0.2","root":{"path":"rootfs"},"mounts":[
            {"destination":"/mnt","type":"bind","source":"data","options":["rbind"]},
            {"destination":"/one","type":"bind","source":"data/app","options":["bind"]},
            {"destination":"/none","type":"bind","source":"no/such","options":["bind"]},
            {"destination":"/bin/tmp","type":"tmpfs","source":"tmpfs"}]}"#;
        fs::write(path.join("config.json"), config).unwrap();
        Bundle::load(&path).unwrap()
    }

    #[test]
    fn files_are_found_where_the_container_has_them() {
        let bundle = bundle("artifact");
        let files = Files::of(&bundle);
        for there in ["/bin/app", "/link/app", "/mnt/app", "/one", "/bin"] {
            assert!(files.have(Path::new(there)), "{there}");
        }
        // A link of the image counts from its root: the host has this file.
        assert!(Path::new("/etc/passwd").exists());
        for missing in [
            "/app",
            "/host/passwd",
            "/mnt/covered",
            "/none",
            "/bin/app/x",
        ] {
            assert!(!files.have(Path::new(missing)), "{missing}");
        }
        fs::remove_dir_all(&bundle.path).unwrap();
    }
}
