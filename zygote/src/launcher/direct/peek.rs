use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci::spec::Mount;
use oci::{Bundle, Candidate, Format, MAGIC_LEN, Workload};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};

/// Whether the program is a WebAssembly module, as far as can be told from
/// outside of a container that is not made yet: its first bytes say so.
/// Nothing hangs on the answer but who makes the container.
pub fn is_module(bundle: &Bundle, rootfs: &Path, workload: &Workload) -> bool {
    let inner = workload.without_init();
    let candidates = inner.as_ref().unwrap_or(workload).candidates();
    let found = candidates
        .iter()
        .find_map(|Candidate { path, .. }| open_in(bundle, rootfs, path));
    found.is_some_and(|file| is_wasm(&file))
}

/// A regular file at a path of the container.
fn open_in(bundle: &Bundle, rootfs: &Path, path: &Path) -> Option<File> {
    let mut mounts = bundle.spec.mounts().iter().flatten();
    let covering = mounts.rfind(|mount| path.starts_with(mount.destination()));
    let file = match covering {
        None => open_below(rootfs, path)?,
        Some(mount) => open_in_mount(bundle, mount, path)?,
    };
    let kind = FileType::from_raw_mode(fstat(&file).ok()?.st_mode);
    (kind == FileType::RegularFile).then(|| File::from(file))
}

fn open_in_mount(bundle: &Bundle, mount: &Mount, path: &Path) -> Option<OwnedFd> {
    if !oci::is_bind(mount) {
        return None;
    }
    let source: PathBuf = bundle.path.join(mount.source().as_ref()?);
    let rest = path.strip_prefix(mount.destination()).ok()?;
    if rest.as_os_str().is_empty() {
        return openat2(
            CWD,
            &source,
            READ,
            Mode::empty(),
            ResolveFlags::NO_MAGICLINKS,
        )
        .ok();
    }
    open_below(&source, rest)
}

/// Without waiting, as a FIFO would make one wait.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// No link leads out of the folder.
fn open_below(folder: &Path, path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = open(folder, flags, Mode::empty()).ok()?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(&folder, path, READ, Mode::empty(), resolve).ok()
}

fn is_wasm(file: &File) -> bool {
    let mut head = Vec::new();
    let read = file.take(MAGIC_LEN as u64).read_to_end(&mut head);
    read.is_ok() && Format::of(&head) == Format::Module
}
