//! The mounts of this mount namespace.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};

/// One line of /proc/self/mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub kind: String,
    pub target: String,
    pub options: String,
}

impl Mount {
    /// The folder that takes an overlay's changes.
    pub fn upper_dir(&self) -> Option<PathBuf> {
        self.options
            .split(',')
            .find_map(|option| option.strip_prefix("upperdir="))
            .map(PathBuf::from)
    }
}

/// Makes a folder a mount of its own, which others may share.
pub fn share(folder: &Path) {
    mount_bind(folder, folder).expect("a mount of its own");
    mount_change(folder, MountPropagationFlags::SHARED).expect("a shared mount");
}

pub fn all() -> Vec<Mount> {
    let text = fs::read_to_string("/proc/self/mounts").expect("/proc/self/mounts");
    text.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Mount> {
    let mut fields = line.split(' ').skip(1);
    let target = unescape(fields.next()?);
    let kind = fields.next()?.into();
    Some(Mount {
        kind,
        target,
        options: fields.next()?.into(),
    })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    let escapes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    escapes
        .iter()
        .fold(text.into(), |text: String, (code, plain)| {
            text.replace(code, plain)
        })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_overlay_lines() {
        let line = "overlay /run/a\\040b/rootfs overlay rw,lowerdir=/l,upperdir=/u,workdir=/w 0 0";
        let mount = parse(line).expect("a mount");
        assert_eq!(mount.target, "/run/a b/rootfs");
        assert_eq!(
            mount.upper_dir().expect("an upper dir"),
            std::path::Path::new("/u")
        );
    }
}
