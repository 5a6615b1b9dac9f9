//! A folder as nobody can write to it, root in a container included.
#![allow(unsafe_code)]

use std::ffi::c_long;
use std::mem::size_of;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::error::{Context, Result};

const MOUNT_ATTR_RDONLY: u64 = 1;

/// `struct mount_attr` (mount_setattr(2)).
#[repr(C)]
#[derive(Debug, Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// A detached, read-only clone of the mount that `folder` is on, cut to the
/// folder. A program that was executed through it can't be written to through
/// its /proc/PID/exe, which a container's process may reach (CVE-2019-5736).
pub fn clone(folder: &Path) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, folder, flags).at("can't clone the mount of", folder)?;
    let attributes = MountAttr {
        set: MOUNT_ATTR_RDONLY,
        ..MountAttr::default()
    };
    // SAFETY: the path is a string that ends with NUL, the attributes are a
    // struct of the size that is told; both outlive the call, which reads them.
    let returned: c_long = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<MountAttr>(),
        )
    };
    let done = match returned {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    };
    done.at("can't make read-only the mount of", folder)?;
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, read, write};

    #[test]
    fn what_is_in_the_clone_can_be_read_but_not_written() {
        let folder = std::env::temp_dir().join(format!("read-only-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        write(folder.join("file"), "content").unwrap();
        let tree = clone(&folder).unwrap();
        let through = Path::new("/proc/self/fd")
            .join(tree.as_raw_fd().to_string())
            .join("file");
        assert_eq!(read(&through).unwrap(), b"content");
        let error = File::options().write(true).open(&through).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        drop(tree);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
