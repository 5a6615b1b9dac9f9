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
const UNCOMMON: MsFlags = MsFlags::MS_SHARED
    .union(MsFlags::MS_UNBINDABLE)
    .union(MsFlags::MS_REMOUNT)
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
    pub fn bound(mount: &Mount) -> Result<Self, String> {
        let options = parse(mount)?;
        let source = mount.source().clone().unwrap_or_default();
        let mut wanted = mount.options().iter().flatten();
        let is_deep = wanted.any(|option| option == "rbind");
        let said = |error: rustix::io::Errno| said(mount, &error);
        let bound = Self::at(&source, is_deep).map_err(said)?;
        // What is mounted below the source on the host later comes here too, if
        // the host shares it, and never goes back.
        bound
            .set(is_deep, &propagation(options.flags))
            .and_then(|()| bound.adjust(mount, &options))?;
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

/// `private` if that is asked for; else `slave`, as is runc's custom.
pub fn propagation(flags: MsFlags) -> MountAttr {
    let kind = if flags.contains(MsFlags::MS_PRIVATE) {
        libc::MS_PRIVATE
    } else {
        libc::MS_SLAVE
    };
    MountAttr {
        propagation: kind,
        ..NOTHING
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
