use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::error::{Context, Error, Result};

/// One of the mounts that make up a rootfs, as the snapshotter says
/// (containerd.types.Mount).
#[derive(Debug, Clone)]
pub struct Mount {
    pub kind: String,
    pub source: String,
    pub options: Vec<String>,
}

/// Where a rootfs that containerd gives as mounts is put, whatever `root.path`
/// says: containerd names it so in config.json.
pub fn of(bundle: &Path) -> PathBuf {
    bundle.join("rootfs")
}

/// Mounts each on `target`, in order; undoes them all if one fails.
pub fn mount(mounts: &[Mount], target: &Path) -> Result<()> {
    std::fs::create_dir_all(target).at("can't create", target)?;
    for mount in mounts {
        if let Err(error) = mount_one(mount, target) {
            unmount(target);
            return Err(error);
        }
    }
    Ok(())
}

/// Unmounts all that is on `target`. What a process still uses goes with it.
pub fn unmount(target: &Path) {
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    // Ends with EINVAL (not a mount point) or ENOENT (nothing there).
    while rustix::mount::unmount(target, flags).is_ok() {}
}

fn mount_one(mount: &Mount, target: &Path) -> Result<()> {
    let Options {
        flags,
        bind,
        recursive,
        data,
    } = Options::parse(&mount.options)?;
    let what = "can't mount the rootfs at";
    if bind || mount.kind == "bind" {
        let bound = if recursive {
            rustix::mount::mount_bind_recursive(&mount.source, target)
        } else {
            rustix::mount::mount_bind(&mount.source, target)
        };
        bound.at(what, target)?;
        // The kernel ignores other flags in the call that binds.
        if !flags.is_empty() {
            rustix::mount::mount_remount(target, flags | MountFlags::BIND, "").at(what, target)?;
        }
    } else {
        // The folders stay open until the kernel has looked at their names.
        let (data, _folders) = shorten(&data)?;
        let data = std::ffi::CString::new(data)
            .map_err(|_| Error::Invalid("a mount option holds a NUL character".into()))?;
        rustix::mount::mount(&mount.source, target, &mount.kind, flags, data.as_c_str())
            .at(what, target)?;
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    flags: MountFlags,
    bind: bool,
    recursive: bool,
    /// What the file system itself is to read.
    data: String,
}

impl Options {
    fn parse(options: &[String]) -> Result<Self> {
        let mut parsed = Self {
            flags: MountFlags::empty(),
            bind: false,
            recursive: false,
            data: String::new(),
        };
        for option in options {
            let (flag, set) = match option.as_str() {
                "bind" => {
                    parsed.bind = true;
                    continue;
                }
                "rbind" => {
                    parsed.bind = true;
                    parsed.recursive = true;
                    continue;
                }
                "loop" => return Err(Error::Unimplemented("a rootfs on a loop device")),
                "defaults" | "rw" | "async" | "exec" | "dev" | "suid" | "atime" | "diratime" => {
                    continue;
                }
                "ro" => (MountFlags::RDONLY, true),
                "noexec" => (MountFlags::NOEXEC, true),
                "nodev" => (MountFlags::NODEV, true),
                "nosuid" => (MountFlags::NOSUID, true),
                "noatime" => (MountFlags::NOATIME, true),
                "nodiratime" => (MountFlags::NODIRATIME, true),
                "relatime" => (MountFlags::RELATIME, true),
                "norelatime" => (MountFlags::RELATIME, false),
                "strictatime" => (MountFlags::STRICTATIME, true),
                "sync" => (MountFlags::SYNCHRONOUS, true),
                "dirsync" => (MountFlags::DIRSYNC, true),
                data => {
                    if !parsed.data.is_empty() {
                        parsed.data.push(',');
                    }
                    parsed.data.push_str(data);
                    continue;
                }
            };
            parsed.flags.set(flag, set);
        }
        Ok(parsed)
    }
}

/// The kernel takes one page of options (mount(2)); an image of many layers has
/// more in its `lowerdir=`. Then each layer is named by an open descriptor.
const PAGE: usize = 4096;

fn shorten(data: &str) -> Result<(String, Vec<OwnedFd>)> {
    if data.len() < PAGE {
        return Ok((data.to_owned(), Vec::new()));
    }
    let mut folders = Vec::new();
    let mut options = Vec::new();
    for option in data.split(',') {
        let Some(layers) = option.strip_prefix("lowerdir=") else {
            options.push(option.to_owned());
            continue;
        };
        let mut names = Vec::new();
        for layer in layers.split(':') {
            let folder = rustix::fs::open(layer, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .at("can't open the layer", layer)?;
            names.push(format!("/proc/self/fd/{}", folder.as_raw_fd()));
            folders.push(folder);
        }
        options.push(format!("lowerdir={}", names.join(":")));
    }
    let data = options.join(",");
    if data.len() < PAGE {
        Ok((data, folders))
    } else {
        Err(Errno::TOOBIG).context("the image has more layers than the kernel mounts at once")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Options {
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        Options::parse(&options).unwrap()
    }

    #[test]
    fn flags_are_told_from_data() {
        let options = parse(&["ro", "nosuid", "lowerdir=/a:/b", "index=off"]);
        assert_eq!(options.flags, MountFlags::RDONLY | MountFlags::NOSUID);
        assert_eq!(options.data, "lowerdir=/a:/b,index=off");
        assert!(!options.bind);
        let options = parse(&["rbind", "rw"]);
        assert!(options.bind && options.recursive && options.flags.is_empty());
    }

    #[test]
    fn many_layers_fit_into_a_page() {
        // A long name of a folder that is there.
        let layer = format!("/tmp{}", "/.".repeat(20));
        let long = format!("upperdir=/u,lowerdir={}", vec![layer; 160].join(":"));
        assert!(long.len() > PAGE);
        let (short, folders) = shorten(&long).unwrap();
        assert!(short.len() < PAGE);
        assert!(short.starts_with("upperdir=/u,lowerdir=/proc/self/fd/"));
        assert_eq!(folders.len(), 160);
        assert_eq!(shorten("lowerdir=/a").unwrap().0, "lowerdir=/a");
    }
}
