use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use ipc::Launch;
use oci::Bundle;
use oci::spec::Spec;

use super::cgroup_mount;
use crate::error::{Error, Result};

/// The bundle for libcontainer: the container's own, or a copy where that says
/// something which libcontainer 0.7 does not understand.
pub fn bundle(launch: &Launch, bundle: &Bundle) -> Result<PathBuf> {
    let mut spec = bundle.spec.clone();
    let is_spelt_out = cgroup_mount::spell_out(&mut spec)?;
    if !name_propagation(&mut spec) && !is_spelt_out {
        return Ok(launch.bundle.clone());
    }
    if let Some(root) = spec.root_mut() {
        root.set_path(bundle.rootfs()?);
    }
    let folder = launch.state.join("bundle");
    let written = std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(|error| error.to_string())
        .and_then(|()| {
            let saved = spec.save(folder.join("config.json"));
            saved.map_err(|error| error.to_string())
        });
    written.map_err(|error| Error::Guest(format!("can't write {}: {error}", folder.display())))?;
    Ok(folder)
}

/// CRI writes `rslave` and `rshared` for `linux.rootfsPropagation`, as runc takes
/// them; libcontainer, which sets all mounts below too, knows them without the r.
/// Returns whether that is so.
fn name_propagation(spec: &mut Spec) -> bool {
    let Some(linux) = spec.linux_mut() else {
        return false;
    };
    let given = linux.rootfs_propagation().clone().unwrap_or_default();
    let known = match given.as_str() {
        "rslave" | "rshared" | "rprivate" | "runbindable" => &given[1..],
        _ => return false,
    };
    linux.set_rootfs_propagation(Some(known.to_owned()));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn propagation_is_named_as_libcontainer_knows_it() {
        let renamed = |name: &str| {
            let config =
                format!(r#"{{"ociVersion":"1.0.0","linux":{{"rootfsPropagation":"{name}"}}}}"#);
            let mut spec: Spec = serde_json::from_str(&config).unwrap();
            name_propagation(&mut spec).then(|| {
                let linux = spec.linux().as_ref().unwrap();
                linux.rootfs_propagation().clone().unwrap()
            })
        };
        assert_eq!(renamed("rslave").as_deref(), Some("slave"));
        assert_eq!(renamed("rshared").as_deref(), Some("shared"));
        assert_eq!(renamed("private"), None);
    }
}
