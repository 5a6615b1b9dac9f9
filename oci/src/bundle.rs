use std::collections::HashMap;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespaceType, Spec};

use crate::annotations::{CONTAINER_TYPE, SANDBOX};
use crate::{Error, Result};

/// Annotations that put containers of one pod behind one shim, the first that
/// is set wins: containerd's CRI plugin sets the one, runc's shim reads both.
const GROUP_ANNOTATIONS: [&str; 2] = [
    "io.containerd.runc.v2.group",
    "io.kubernetes.cri.sandbox-id",
];

/// A bundle folder and its parsed `config.json` (OCI runtime spec, "bundle").
#[derive(Debug, Clone)]
pub struct Bundle {
    pub path: PathBuf,
    pub spec: Spec,
}

impl Bundle {
    pub fn load(path: &Path) -> Result<Self> {
        let config = path.join("config.json");
        let spec = Spec::load(&config).map_err(|source| Error::Config {
            path: config,
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            spec,
        })
    }

    /// `root.path`; a relative one counts from the bundle.
    pub fn rootfs(&self) -> Result<PathBuf> {
        let root = self.spec.root().as_ref().ok_or(Error::Missing("root"))?;
        Ok(self.path.join(root.path()))
    }

    /// The name shared by all containers of a pod, if this one is in a pod.
    pub fn group(&self) -> Option<&str> {
        let annotations = self.annotations()?;
        GROUP_ANNOTATIONS
            .iter()
            .find_map(|name| annotations.get(*name))
            .map(String::as_str)
    }

    /// Whether this is what holds a pod's namespaces, and no program of the user's.
    pub fn is_sandbox(&self) -> bool {
        let annotations = self.annotations();
        let kind = annotations.and_then(|annotations| annotations.get(CONTAINER_TYPE));
        kind.is_some_and(|kind| kind == SANDBOX)
    }

    pub fn annotations(&self) -> Option<&HashMap<String, String>> {
        self.spec.annotations().as_ref()
    }

    /// `linux.cgroupsPath`: a path for cgroupfs, `slice:prefix:name` for systemd.
    pub fn cgroups_path(&self) -> Option<&Path> {
        self.spec.linux().as_ref()?.cgroups_path().as_deref()
    }

    /// Whether the container's mounts are its own alone.
    pub fn has_own_mounts(&self) -> bool {
        self.has_own(LinuxNamespaceType::Mount)
    }

    /// Whether the container's processes end with the first of them, as those
    /// of a pid namespace do.
    pub fn has_own_pids(&self) -> bool {
        self.has_own(LinuxNamespaceType::Pid)
    }

    /// Whether the container has a network of its own, with nobody in it yet.
    pub fn has_own_network(&self) -> bool {
        self.has_own(LinuxNamespaceType::Network)
    }

    /// Whether user and group numbers mean others on the host.
    pub fn has_user_namespace(&self) -> bool {
        self.has_own(LinuxNamespaceType::User)
    }

    fn has_own(&self, kind: LinuxNamespaceType) -> bool {
        let linux = self.spec.linux().as_ref();
        linux
            .and_then(|linux| linux.namespaces().as_ref())
            .into_iter()
            .flatten()
            .any(|namespace| namespace.typ() == kind && namespace.path().is_none())
    }

    /// `process.user.uid`.
    pub fn user(&self) -> Option<u32> {
        let process = self.spec.process().as_ref()?;
        Some(process.user().uid())
    }

    pub fn has_poststop_hooks(&self) -> bool {
        self.spec
            .hooks()
            .as_ref()
            .and_then(|hooks| hooks.poststop().as_ref())
            .is_some_and(|hooks| !hooks.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(config: &str) -> Bundle {
        Bundle {
            path: "/bundle".into(),
            spec: serde_json::from_str(config).unwrap(),
        }
    }

    #[test]
    fn relative_root_counts_from_the_bundle() {
        let relative = bundle(r#"{"ociVersion":"1.0.0","root":{"path":"rootfs"}}"#);
        assert_eq!(relative.rootfs().unwrap(), Path::new("/bundle/rootfs"));
        let absolute = bundle(r#"{"ociVersion":"1.0.0","root":{"path":"/elsewhere"}}"#);
        assert_eq!(absolute.rootfs().unwrap(), Path::new("/elsewhere"));
    }

    #[test]
    fn explicit_group_wins_over_the_pod() {
        let grouped = bundle(
            r#"{"ociVersion":"1.0.0","annotations":{
                "io.kubernetes.cri.sandbox-id":"pod",
                "io.containerd.runc.v2.group":"group"}}"#,
        );
        assert_eq!(grouped.group(), Some("group"));
        let pod = bundle(
            r#"{"ociVersion":"1.0.0","annotations":{"io.kubernetes.cri.sandbox-id":"pod"}}"#,
        );
        assert_eq!(pod.group(), Some("pod"));
        assert_eq!(bundle(r#"{"ociVersion":"1.0.0"}"#).group(), None);
    }

    #[test]
    fn a_pods_sandbox_is_told_by_its_annotation() {
        let with = |kind: &str| {
            let key = "io.kubernetes.cri.container-type";
            let config = format!(r#"{{"ociVersion":"1.0.0","annotations":{{"{key}":"{kind}"}}}}"#);
            bundle(&config).is_sandbox()
        };
        assert!(with("sandbox") && !with("container"));
        assert!(!bundle(r#"{"ociVersion":"1.0.0"}"#).is_sandbox());
    }

    #[test]
    fn a_mount_namespace_that_is_joined_is_not_its_own() {
        let with = |namespaces: &str| {
            let config =
                format!(r#"{{"ociVersion":"1.0.0","linux":{{"namespaces":{namespaces}}}}}"#);
            bundle(&config).has_own_mounts()
        };
        assert!(with(r#"[{"type":"pid"},{"type":"mount"}]"#));
        assert!(!with(r#"[{"type":"mount","path":"/proc/1/ns/mnt"}]"#));
        assert!(!with(r#"[{"type":"pid"}]"#));
        assert!(!bundle(r#"{"ociVersion":"1.0.0"}"#).has_own_mounts());
    }

    #[test]
    fn a_missing_config_is_named() {
        let error = Bundle::load(Path::new("/no/such/bundle")).unwrap_err();
        assert!(error.to_string().contains("/no/such/bundle/config.json"));
    }
}
