use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, fstat, umask};
use nix::sys::statfs::statfs;
use nix::unistd::{chdir, dup2, fchdir};
use oci::spec::Mount;
use rustix::fs::OFlags;

use super::mounts::{Propagation, Tree};
use super::root::Root;
use super::{Plan, Step, devices, said};
use crate::empty_mounts::root_here;
use crate::trace;

/// Gives the calling process mounts of its own: those of `config.json` and
/// nothing else. `new`: those of them that are new file systems, in their order.
pub fn enter(plan: &Plan<'_>, new: Vec<Tree>) -> Step {
    let mounts = plan.spec.mounts().as_deref().unwrap_or_default();
    let root = own_root(plan)?;
    let mut new = new.into_iter();
    let trees = mounts.iter().map(|mount| match oci::is_bind(mount) {
        true => Tree::bound(mount, plan.propagation),
        false => new.next().ok_or_else(|| "a mount is missing".into()),
    });
    let trees = trees.collect::<Result<Vec<Tree>, String>>()?;
    trace::done("bound");
    let entered = plan.empty.enter_copy();
    entered.map_err(|error| said("the mount namespace", &error))?;
    plan.empty.close();
    let root = swap_root(root).map_err(|error| said("root", &error))?;
    if plan.propagation.is_shared() {
        let flags = MsFlags::MS_SHARED;
        let shared = mount(None::<&str>, "/", None::<&str>, flags, None::<&str>);
        shared.map_err(|error| said("linux.rootfsPropagation", &error))?;
    }
    trace::done("root");
    let inherited = umask(Mode::empty());
    // The kernel's views come last, so that no link of the image leads into one.
    let all = trees.into_iter().zip(mounts);
    let (views, others): (Vec<_>, Vec<_>) = all.partition(|(_, mount)| oci::is_host_view(mount));
    for (tree, mount) in others {
        tree.put(&root, mount)?;
    }
    // A folder of the host's is not ours to put devices into.
    let has_own_devices = !mounts.iter().any(is_bound_dev);
    if let Some(linux) = plan.linux().filter(|_| has_own_devices) {
        devices::make(&root, linux)?;
    }
    for (tree, mount) in views {
        tree.put(&root, mount)?;
    }
    let wanted = plan.process.user().umask();
    umask(wanted.map_or(inherited, Mode::from_bits_truncate));
    trace::done("mounts");
    if has_own_devices {
        reopen_null()?;
    }
    if let Some(outputs) = &plan.outputs {
        outputs.make();
    }
    let is_read_only = plan
        .spec
        .root()
        .as_ref()
        .and_then(oci::spec::Root::readonly);
    if is_read_only == Some(true) {
        protect_root().map_err(|error| said("root.readonly", &error))?;
    }
    let cwd = plan.process.cwd();
    chdir(cwd).map_err(|error| {
        let what = format!("the working directory {} (process.cwd)", cwd.display());
        said(&what, &error)
    })
}

fn is_bound_dev(mount: &Mount) -> bool {
    let destination = Path::new("/").join(mount.destination());
    oci::is_bind(mount) && destination.components().eq(Path::new("/dev").components())
}

/// The rootfs with all that is mounted in it.
fn own_root(plan: &Plan<'_>) -> Result<Tree, String> {
    let rootfs = &plan.rootfs;
    let tree = Tree::at(rootfs, true).map_err(|error| {
        let what = format!("the root file system {} (root.path)", rootfs.display());
        said(&what, &error)
    })?;
    // A shared one can't become the root (pivot_root(2)).
    match plan.propagation.is_shared() {
        true => Propagation::SLAVES.set(&tree)?,
        false => plan.propagation.set(&tree)?,
    }
    Ok(tree)
}

/// Makes the tree the root of the calling process's mount namespace, in place
/// of all that was there.
fn swap_root(tree: Tree) -> Result<Root, Errno> {
    let errno = |error: rustix::io::Errno| Errno::from_raw(error.raw_os_error());
    let old = rustix::fs::open(
        "/",
        OFlags::PATH | OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    );
    tree.attach(old.map_err(errno)?.as_fd()).map_err(errno)?;
    fchdir(tree.as_fd().as_raw_fd())?;
    root_here()?;
    Ok(Root::new(tree.into()))
}

/// Streams that are the host's /dev/null become the container's.
fn reopen_null() -> Step {
    let what = "/dev/null in the container";
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|error| said(what, &error))?;
    let device = |fd| fstat(fd).map(|stat| stat.st_rdev);
    let own = device(null).map_err(|error| said(what, &error))?;
    if own != libc::makedev(1, 3) {
        return Err(format!("{what}: it is another device"));
    }
    for standard in 0..=2 {
        if device(standard) == Ok(own) {
            dup2(null, standard).map_err(|error| said(what, &error))?;
        }
    }
    nix::unistd::close(null).map_err(|error| said(what, &error))
}

fn protect_root() -> nix::Result<()> {
    let flags = statfs("/")?.flags().bits();
    let flags = MsFlags::from_bits_truncate(flags)
        | MsFlags::MS_RDONLY
        | MsFlags::MS_REMOUNT
        | MsFlags::MS_BIND;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
}
