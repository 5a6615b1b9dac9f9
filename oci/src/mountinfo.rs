use std::path::PathBuf;

/// One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)), what is used of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountInfo<'a> {
    pub target: PathBuf,
    /// The type of the file system.
    pub kind: &'a str,
    /// The options of the file system, not those of the mount.
    pub options: &'a str,
}

impl<'a> MountInfo<'a> {
    /// All mounts that a mountinfo file lists, in its order.
    pub fn list(mountinfo: &'a str) -> impl Iterator<Item = Self> {
        mountinfo.lines().filter_map(|line| {
            let (place, filesystem) = line.split_once(" - ")?;
            let mut fields = filesystem.split(' ');
            Some(Self {
                target: unescape(place.split(' ').nth(4)?),
                kind: fields.next()?,
                options: fields.nth(1)?,
            })
        })
    }
}

/// The kernel writes space, tab, newline and backslash in octal.
fn unescape(text: &str) -> PathBuf {
    let plain = text
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\");
    PathBuf::from(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_they_were_and_optional_fields_are_skipped() {
        let text = "36 35 98:0 /root /odd\\040name\\134 rw master:1 - ext3 /dev/root rw,errors=x\n\
                    not a line";
        let expected = MountInfo {
            target: "/odd name\\".into(),
            kind: "ext3",
            options: "rw,errors=x",
        };
        assert_eq!(MountInfo::list(text).collect::<Vec<_>>(), [expected]);
    }
}
