use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, Spec};

use crate::{Error, MountInfo, Result};

/// The file systems that show the kernel rather than files.
///
/// A Wasm guest has no use for them (WASI has no /proc) and much harm: through
/// the preopen of the root a guest that could open /proc/self/mem would write
/// its own runtime's memory.
const HOST_VIEWS: [&str; 6] = ["proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue"];

/// The mounts among the lines of a container's /proc/PID/mountinfo (proc(5))
/// that show the kernel, but for what the user has bound there on purpose:
/// where they really are, whatever symlinks the image has at their
/// destinations.
pub fn host_views(mountinfo: &str, spec: &Spec) -> Vec<PathBuf> {
    let wanted: Vec<&Path> = spec
        .mounts()
        .iter()
        .flatten()
        .filter(|mount| is_bind(mount))
        .map(|mount| mount.destination().as_path())
        .collect();
    MountInfo::list(mountinfo)
        .filter(|mount| HOST_VIEWS.contains(&mount.kind))
        .map(|mount| mount.target)
        .filter(|path| !wanted.iter().any(|wanted| path.starts_with(wanted)))
        .collect()
}

/// Whether a mount of `config.json` is of a file system that shows the kernel.
pub fn is_host_view(mount: &Mount) -> bool {
    let kind = mount.typ().as_deref().unwrap_or_default();
    HOST_VIEWS.contains(&kind) && !is_bind(mount)
}

/// Whether a mount shows files of the host or of a volume: a bind mount.
pub fn is_bind(mount: &Mount) -> bool {
    mount.typ().as_deref() == Some("bind")
        || mount
            .options()
            .iter()
            .flatten()
            .any(|option| option == "bind" || option == "rbind")
}

/// What no container can be made with.
pub(crate) fn check(mounts: Option<&[Mount]>) -> Result<()> {
    for mount in mounts.unwrap_or_default() {
        if mount.destination().as_os_str().is_empty() {
            return Err(Error::NoDestination {
                source_path: mount.source().clone().unwrap_or_default(),
            });
        }
        if is_id_mapped(mount) {
            return Err(Error::IdMappedMount(mount.destination().clone()));
        }
    }
    Ok(())
}

/// libcontainer would leave the mappings out without a word, and the files
/// would be nobody's.
fn is_id_mapped(mount: &Mount) -> bool {
    let mut options = mount.options().iter().flatten();
    let mappings = [mount.uid_mappings(), mount.gid_mappings()];
    options.any(|option| matches!(option.as_str(), "idmap" | "ridmap"))
        || mappings.into_iter().flatten().any(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_needs_a_destination() {
        let mounts = |destination: &str| -> Vec<Mount> {
            let mount = format!(r#"[{{"destination":"{destination}","source":"/data"}}]"#);
            serde_json::from_str(&mount).unwrap()
        };
        assert!(check(None).is_ok());
        assert!(check(Some(&mounts("/x"))).is_ok());
        let error = check(Some(&mounts(""))).unwrap_err().to_string();
        assert!(error.contains("/data"), "{error}");
    }

    #[test]
    fn mappings_of_a_mount_are_refused() {
        for asks in [
            r#""options":["rbind","ridmap"]"#,
            r#""uidMappings":[{"containerID":0,"hostID":9,"size":1}]"#,
        ] {
            let mount = format!(r#"[{{"destination":"/x","source":"/data",{asks}}}]"#);
            let mounts: Vec<Mount> = serde_json::from_str(&mount).unwrap();
            let error = check(Some(&mounts)).unwrap_err().to_string();
            assert!(error.contains("/x"), "{error}");
        }
    }

    const MOUNTINFO: &str = "\
700 600 0:50 / / rw - overlay overlay rw
701 700 0:51 / /proc rw - proc proc rw
702 701 0:51 /sys /proc/sys ro - proc proc rw
703 700 0:52 / /dev rw - tmpfs tmpfs rw
704 703 0:53 / /dev/pts rw - devpts devpts rw
705 700 0:54 / /odd\\040name ro - sysfs sysfs rw
706 705 0:55 / /odd\\040name/fs/cgroup ro - tmpfs tmpfs rw
707 700 8:1 /x /inputs ro - ext4 /dev/sda rw
708 700 0:51 / /host/proc ro - proc proc rw";

    #[test]
    fn views_are_found_where_they_are_and_the_users_mounts_stay() {
        let spec: Spec = serde_json::from_str(
            r#"{"ociVersion":"1.0.0","mounts":[
                {"destination":"/proc","type":"proc","source":"proc"},
                {"destination":"/sys","type":"sysfs","source":"sysfs"},
                {"destination":"/host/proc","source":"/proc","options":["rbind","ro"]},
                {"destination":"/inputs","source":"/data","options":["rbind","ro"]}]}"#,
        )
        .unwrap();
        let views = host_views(MOUNTINFO, &spec);
        let views: Vec<_> = views.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(views, ["/proc", "/proc/sys", "/dev/pts", "/odd name"]);
    }
}
