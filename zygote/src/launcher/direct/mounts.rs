//! What `config.json` mounts, each a tree of mounts without a place until the
//! container's root is there to put it in (OCI runtime spec, "config.md",
//! "Mounts"). By descriptors, so that no list of mounts is ever read: a host may
//! have thousands.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use libcontainer::rootfs::utils::{MountOptionConfig, parse_mount};
use libcontainer::syscall::linux::{
    AT_EMPTY_PATH, AT_RECURSIVE, MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_STRICTATIME, MountAttr,
};
use libcontainer::syscall::syscall::create_syscall;
use nix::mount::MsFlags;
use oci::spec::Mount;
use rustix::fs::{CWD, FileType, fstat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::root::Root;
use crate::error::chain;

/// New file systems that are made here; whatever else there is, libcontainer
/// mounts.
const NEW: [&str; 2] = ["proc", "tmpfs"];

/// Flags that ask for something that is not done here.
const UNCOMMON: MsFlags = MsFlags::MS_REMOUNT
    .union(MsFlags::MS_MANDLOCK)
    .union(MsFlags::MS_SYNCHRONOUS)
    .union(MsFlags::MS_DIRSYNC);

/// How each flag of a mount is called since mount_setattr(2).
const ATTRIBUTES: [(MsFlags, u64); 5] = [
    (MsFlags::MS_RDONLY, MOUNT_ATTR_RDONLY),
    (MsFlags::MS_NOSUID, MOUNT_ATTR_NOSUID),
    (MsFlags::MS_NODEV, MOUNT_ATTR_NODEV),
    (MsFlags::MS_NOEXEC, MOUNT_ATTR_NOEXEC),
    (MsFlags::MS_NODIRATIME, MOUNT_ATTR_NODIRATIME),
];

/// Whether this mount can be made here.
pub fn is_common(mount: &Mount) -> bool {
    let kind = mount.typ().as_deref().unwrap_or_default();
    let is_known = oci::is_bind(mount) || NEW.contains(&kind);
    let is_plain = |options: MountOptionConfig| {
        let names_files = oci::is_bind(mount) && !options.data.is_empty();
        !options.flags.intersects(UNCOMMON) && !names_files
    };
    is_known && has_plain_destination(mount) && parse_mount(mount).is_ok_and(is_plain)
}

fn has_plain_destination(mount: &Mount) -> bool {
    let mut parts = mount.destination().components();
    parts.all(|part| part.as_os_str() != "..")
}

/// A tree of mounts that is not in any mount namespace yet.
#[derive(Debug)]
pub struct Tree {
    tree: OwnedFd,
    /// Mounted on a file, not on a folder.
    is_file: bool,
}

impl Tree {
    /// A new file system. One that belongs to a namespace is that of the calling
    /// process.
    pub fn new(mount: &Mount) -> Result<Self, String> {
        let options = parse(mount)?;
        let tree = make(mount, &options).map_err(|error| said(mount, &error))?;
        let made = Self {
            tree,
            is_file: false,
        };
        let mut flags = options.flags;
        // What is made in it comes afterwards.
        flags.set(
            MsFlags::MS_RDONLY,
            flags.contains(MsFlags::MS_RDONLY) && mount.destination() != Path::new("/dev"),
        );
        made.adjust(mount, &MountOptionConfig { flags, ..options })?;
        Ok(made)
    }

    /// What the calling process sees at the source of a bind mount.
    /// `root`: how the container's root has it, which holds unless the mount's
    /// options say more.
    pub fn bound(mount: &Mount, root: Propagation) -> Result<Self, String> {
        let options = parse(mount)?;
        let source = mount.source().clone().unwrap_or_default();
        let mut wanted = mount.options().iter().flatten();
        let is_deep = wanted.any(|option| option == "rbind");
        let bound = Self::at(&source, is_deep).map_err(|error| said(mount, &error))?;
        if !root.is_shared() {
            root.set(&bound)?;
        }
        if let Some(own) = Propagation::of(mount) {
            own.set(&bound)?;
        }
        bound.adjust(mount, &options)?;
        Ok(bound)
    }

    /// A copy of the tree of mounts that the calling process has at a path.
    pub fn at(path: &Path, is_deep: bool) -> rustix::io::Result<Self> {
        let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        flags.set(OpenTreeFlags::AT_RECURSIVE, is_deep);
        let tree = open_tree(CWD, path, flags)?;
        let is_file = FileType::from_raw_mode(fstat(&tree)?.st_mode) != FileType::Directory;
        Ok(Self { tree, is_file })
    }

    /// Puts it where `config.json` wants it. A place that is missing is made.
    pub fn put(self, root: &Root, mount: &Mount) -> Result<(), String> {
        let destination = mount.destination();
        let place = if self.is_file {
            root.file(destination)
        } else if oci::is_host_view(mount) {
            // Not where a link of the image leads to.
            root.plain_folder(destination)
        } else {
            root.folder(destination)
        };
        place
            .and_then(|place| self.attach(place.as_fd()))
            .map_err(|error| said(mount, &error))
    }

    /// Puts it on a place in the mount namespace of the calling process.
    pub fn attach(&self, place: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let by_descriptors =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&self.tree, "", place, "", by_descriptors)
    }

    fn adjust(&self, mount: &Mount, options: &MountOptionConfig) -> Result<(), String> {
        self.set(false, &attributes(options.flags))
            .and_then(|()| match &options.rec_attr {
                Some(deep) => self.set(true, deep),
                None => Ok(()),
            })
            .map_err(|error| format!("{}: {error}", shown(mount)))
    }

    /// Sets attributes of its first mount, or of all.
    pub fn set(&self, is_deep: bool, attributes: &MountAttr) -> Result<(), String> {
        if *attributes == NOTHING {
            return Ok(());
        }
        let flags = if is_deep {
            AT_EMPTY_PATH | AT_RECURSIVE
        } else {
            AT_EMPTY_PATH
        };
        let size = size_of::<MountAttr>();
        create_syscall()
            .mount_setattr(self.as_fd(), Path::new(""), flags, attributes, size)
            .map_err(|error| chain(&error))
    }
}

impl From<Tree> for OwnedFd {
    fn from(tree: Tree) -> Self {
        tree.tree
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tree.as_fd()
    }
}

const NOTHING: MountAttr = MountAttr {
    attr_set: 0,
    attr_clr: 0,
    propagation: 0,
    userns_fd: 0,
};

/// What the container sees of what is mounted later on the host, and the host of
/// what is in the container (mount_namespaces(7); OCI runtime spec, "config.md",
/// "Linux mount options", and "config-linux.md", "Rootfs Mount Propagation").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Propagation {
    kind: u64,
    is_deep: bool,
}

impl Propagation {
    pub const SLAVES: Self = Self {
        kind: libc::MS_SLAVE,
        is_deep: true,
    };

    pub fn parse(word: &str) -> Option<Self> {
        let kind = |word: &str| match word {
            "private" => Some(libc::MS_PRIVATE),
            "slave" => Some(libc::MS_SLAVE),
            "shared" => Some(libc::MS_SHARED),
            "unbindable" => Some(libc::MS_UNBINDABLE),
            _ => None,
        };
        let deep = word.strip_prefix('r').and_then(kind);
        Some(Self {
            kind: deep.or_else(|| kind(word))?,
            is_deep: deep.is_some(),
        })
    }

    /// The last that a mount's options name; libcontainer ignores them.
    fn of(mount: &Mount) -> Option<Self> {
        let options = mount.options().iter().flatten();
        options.rev().find_map(|option| Self::parse(option))
    }

    /// That of the root, which all mounts in it have unless it is shared: then
    /// they keep what they have on the host. `slave` if none is said, as is
    /// runc's custom.
    pub fn of_root(word: Option<&str>) -> Option<Self> {
        let said = Self::parse(word.unwrap_or("slave"))?;
        Some(Self {
            kind: match said.kind {
                libc::MS_UNBINDABLE => libc::MS_SLAVE,
                kind => kind,
            },
            is_deep: true,
        })
    }

    pub fn set(self, tree: &Tree) -> Result<(), String> {
        let attributes = MountAttr {
            propagation: self.kind,
            ..NOTHING
        };
        tree.set(self.is_deep, &attributes)
    }

    pub fn is_shared(self) -> bool {
        self.kind == libc::MS_SHARED
    }
}

fn attributes(flags: MsFlags) -> MountAttr {
    let wanted = ATTRIBUTES.iter().filter(|(flag, _)| flags.contains(*flag));
    let set = wanted.fold(0, |set, (_, attribute)| set | attribute);
    let access = [
        (MsFlags::MS_STRICTATIME, MOUNT_ATTR_STRICTATIME),
        (MsFlags::MS_NOATIME, MOUNT_ATTR_NOATIME),
        // The kernel's default.
        (MsFlags::MS_RELATIME, 0),
    ];
    match access.into_iter().find(|(flag, _)| flags.contains(*flag)) {
        Some((_, access)) => MountAttr {
            attr_set: set | access,
            attr_clr: MOUNT_ATTR__ATIME,
            ..NOTHING
        },
        None => MountAttr {
            attr_set: set,
            ..NOTHING
        },
    }
}

fn make(mount: &Mount, options: &MountOptionConfig) -> rustix::io::Result<OwnedFd> {
    let kind = mount.typ().as_deref().unwrap_or_default();
    let system = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    if let Some(source) = mount.source() {
        fsconfig_set_string(&system, "source", source)?;
    }
    for option in &options.data {
        match option.split_once('=') {
            Some((key, value)) => fsconfig_set_string(&system, key, value)?,
            None => fsconfig_set_flag(&system, option.as_str())?,
        }
    }
    fsconfig_create(&system)?;
    fsmount(
        &system,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
}

fn parse(mount: &Mount) -> Result<MountOptionConfig, String> {
    parse_mount(mount).map_err(|error| said(mount, &error))
}

fn shown(mount: &Mount) -> String {
    let source = mount.source().as_deref().unwrap_or(Path::new("nothing"));
    let destination = mount.destination().display();
    format!("{} can't be mounted at {destination}", source.display())
}

fn said(mount: &Mount, error: &dyn std::error::Error) -> String {
    format!("{}: {}", shown(mount), chain(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn propagation_by_its_words() {
        let parsed = |word: &str| {
            let found = Propagation::parse(word)?;
            Some((found.kind, found.is_deep))
        };
        assert_eq!(parsed("private"), Some((libc::MS_PRIVATE, false)));
        assert_eq!(parsed("rslave"), Some((libc::MS_SLAVE, true)));
        assert_eq!(parsed("ro"), None);
        assert_eq!(parsed("rro"), None);
        assert_eq!(Propagation::of_root(None), Propagation::parse("rslave"));
        assert_eq!(
            Propagation::of_root(Some("unbindable")),
            Propagation::parse("rslave")
        );
        assert_eq!(Propagation::of_root(Some("no")), None);
    }
}
