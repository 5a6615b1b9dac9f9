use std::path::{Path, PathBuf};

use libcgroups::common::{CgroupSetup, get_cgroup_setup};
use libcgroups::v1::util::list_supported_mount_points;
use oci::spec::{LinuxNamespaceType, Mount, Spec};

use crate::error::{Error, Result};

/// Says how the container's cgroup mount is made, where libcontainer needs that;
/// returns whether it does.
///
/// On cgroup v1 libcontainer 0.7 looks for `/proc/PID` of the container's
/// process in the host's /proc, where the pid of another pid namespace means
/// another process or none: containers of a pod that shares its processes would
/// fail at times.
pub fn spell_out(spec: &mut Spec) -> Result<bool> {
    let v1 = || {
        matches!(
            get_cgroup_setup(),
            Ok(CgroupSetup::Legacy | CgroupSetup::Hybrid)
        )
    };
    if !joins_processes(spec) || !v1() {
        return Ok(false);
    }
    let mut hierarchies: Vec<_> = list_supported_mount_points()
        .map_err(|error| Error::Guest(format!("can't find the cgroup hierarchies: {error}")))?
        .into_values()
        .collect();
    // Two controllers may be mounted at one place.
    hierarchies.sort();
    hierarchies.dedup();
    let linux = spec.linux().as_ref();
    let group = linux.and_then(|linux| linux.cgroups_path().clone());
    if let Some(mounts) = spec.mounts_mut() {
        let given = std::mem::take(mounts);
        mounts.extend(given.into_iter().flat_map(|mount| {
            if mount.typ().as_deref() == Some("cgroup") {
                replace(&mount, &hierarchies, group.as_deref())
            } else {
                vec![mount]
            }
        }));
    }
    Ok(true)
}

/// Whether the container is in another one's pid namespace.
fn joins_processes(spec: &Spec) -> bool {
    let linux = spec.linux().as_ref();
    let namespaces = linux.and_then(|linux| linux.namespaces().as_ref());
    namespaces
        .into_iter()
        .flatten()
        .any(|namespace| namespace.typ() == LinuxNamespaceType::Pid && namespace.path().is_some())
}

/// A tmpfs, and on it the container's cgroup of each hierarchy. Of a cgroup that
/// systemd makes the path is not known yet: then the tmpfs is empty.
fn replace(mount: &Mount, hierarchies: &[PathBuf], group: Option<&Path>) -> Vec<Mount> {
    let texts = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
    let mut folder = mount.clone();
    folder
        .set_typ(Some("tmpfs".into()))
        .set_source(Some("tmpfs".into()))
        .set_options(texts(&["noexec", "nosuid", "nodev", "mode=755"]));
    let group = group.and_then(|group| group.strip_prefix("/").ok());
    let binds = hierarchies.iter().filter_map(|hierarchy| {
        let mut bind = mount.clone();
        let mut options = bind.options().clone().unwrap_or_default();
        options.insert(0, "rbind".into());
        bind.set_typ(Some("bind".into()))
            .set_source(Some(hierarchy.join(group?)))
            .set_destination(mount.destination().join(hierarchy.file_name()?))
            .set_options(Some(options));
        Some(bind)
    });
    std::iter::once(folder).chain(binds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hierarchy_is_bound_at_its_name() {
        let mut mount = Mount::default();
        mount
            .set_destination("/sys/fs/cgroup".into())
            .set_typ(Some("cgroup".into()))
            .set_options(Some(vec!["ro".into()]));
        let hierarchies = ["/sys/fs/cgroup/memory".into()];
        let mounts = replace(&mount, &hierarchies, Some(Path::new("/pods/a")));
        let [folder, bind] = &mounts[..] else {
            panic!("{mounts:?}")
        };
        assert_eq!(folder.typ().as_deref(), Some("tmpfs"));
        assert_eq!(folder.destination(), Path::new("/sys/fs/cgroup"));
        let source = bind.source().as_deref();
        assert_eq!(source, Some(Path::new("/sys/fs/cgroup/memory/pods/a")));
        assert_eq!(bind.destination(), Path::new("/sys/fs/cgroup/memory"));
        assert_eq!(
            bind.options().as_deref().unwrap_or_default(),
            ["rbind", "ro"]
        );
        assert_eq!(
            replace(&mount, &hierarchies, Some(Path::new("a:b:c"))).len(),
            1
        );
    }
}
