use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::{Errno, Result};

/// The root of a container that is being set up. No link of its image leads out
/// of it.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    pub fn new(folder: OwnedFd) -> Self {
        Self(folder)
    }

    /// The folder at a path; those that are missing are made.
    pub fn folder(&self, path: &Path) -> Result<OwnedFd> {
        self.folder_by(path, ResolveFlags::empty())
    }

    /// The same, where no part of the path may be a link.
    pub fn plain_folder(&self, path: &Path) -> Result<OwnedFd> {
        self.folder_by(path, ResolveFlags::NO_SYMLINKS)
    }

    /// The file at a path; if there is none, an empty one is made.
    pub fn file(&self, path: &Path) -> Result<OwnedFd> {
        match self.open(path, OFlags::PATH, ResolveFlags::empty()) {
            Err(Errno::NOENT) => {}
            found => return found,
        }
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&parent, name, flags, Mode::from(0o644)) {
            // Another container has the same root.
            Ok(_) | Err(Errno::EXIST) => self.open(path, OFlags::PATH, ResolveFlags::empty()),
            Err(error) => Err(error),
        }
    }

    /// The folder that a path is in, which is made if it is missing, and the
    /// last name of the path.
    pub fn parent<'a>(&self, path: &'a Path) -> Result<(OwnedFd, &'a Path)> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let parent = path.parent().ok_or(Errno::INVAL)?;
        Ok((self.folder(parent)?, Path::new(name)))
    }

    fn folder_by(&self, path: &Path, resolve: ResolveFlags) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let path = if path.as_os_str().is_empty() {
            Path::new("/")
        } else {
            path
        };
        match self.open(path, flags, resolve) {
            Err(Errno::NOENT) if path.parent().is_some() => {}
            found => return found,
        }
        let (parent, name) = self.parent(path)?;
        match mkdirat(&parent, name, Mode::from(0o755)) {
            // As above, or a link that leads nowhere, which the next line tells.
            Ok(()) | Err(Errno::EXIST) => self.open(path, flags, resolve),
            Err(error) => Err(error),
        }
    }

    fn open(&self, path: &Path, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd> {
        let resolve = resolve | ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC;
        oci::again(|| openat2(&self.0, path, flags, Mode::empty(), resolve))
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn root(name: &str) -> (std::path::PathBuf, Root) {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("etc")).unwrap();
        let root = Root::new(fs::File::open(&path).unwrap().into());
        (path, root)
    }

    #[test]
    fn what_is_missing_is_made() {
        let (path, root) = root("root-made");
        root.folder(Path::new("/a/b/c")).unwrap();
        root.file(Path::new("/x/y/file")).unwrap();
        root.file(Path::new("relative")).unwrap();
        assert!(path.join("a/b/c").is_dir());
        assert!(path.join("x/y/file").is_file() && path.join("relative").is_file());
        // Again, and what is something else.
        root.folder(Path::new("/a/b/c")).unwrap();
        assert_eq!(
            root.folder(Path::new("/relative/x")).unwrap_err(),
            Errno::NOTDIR
        );
        assert!(root.folder(Path::new("/a/..")).is_ok());
        assert!(root.folder(Path::new("/new/..")).is_err());
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn links_stay_inside() {
        let (path, root) = root("root-links");
        symlink("/etc", path.join("link")).unwrap();
        symlink("../../../../etc", path.join("up")).unwrap();
        symlink("/nowhere", path.join("dangling")).unwrap();
        root.folder(Path::new("/link/made")).unwrap();
        root.file(Path::new("/up/file")).unwrap();
        assert!(path.join("etc/made").is_dir() && path.join("etc/file").is_file());
        assert!(root.folder(Path::new("/dangling")).is_err());
        assert!(root.file(Path::new("/dangling")).is_err());
        assert!(root.plain_folder(Path::new("/link")).is_err());
        assert!(root.plain_folder(Path::new("/proc")).is_ok());
        fs::remove_dir_all(path).unwrap();
    }
}
