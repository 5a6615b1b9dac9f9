//! The tables that we add to containerd's configuration.

use super::document::{CRI, CRI_IMAGES, CRI_RUNTIME, HANDLER, RUNTIME};
use crate::layout::SHIM;

/// Annotations of pods and containers that containerd hands on to the shim. A
/// `*` stands for anything but a slash.
pub const ANNOTATIONS: [&str; 3] = [
    "io.containerd.wasm.*",
    "module.wasm.image/variant",
    "run.oci.handler",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tables {
    /// Of containerd's configuration format.
    pub version: i64,
    pub systemd_cgroup: bool,
    /// Write `{{ .SystemdCgroup }}` instead: the file is a template of k3s.
    pub template: bool,
    /// containerd 1.x forgets its built-in runc as soon as a runtime is listed.
    pub with_runc: bool,
    /// containerd 2.1 and later unpack images for `wasi/wasm` only so.
    pub local_pull: bool,
}

impl Tables {
    pub fn text(self) -> String {
        let plugin = if self.version >= 3 { CRI_RUNTIME } else { CRI };
        let systemd = match self.template {
            true => "{{ .SystemdCgroup }}".into(),
            false => self.systemd_cgroup.to_string(),
        };
        let annotations = format!("{ANNOTATIONS:?}");
        let mut text = String::new();
        if self.with_runc {
            text += &format!(
                "[plugins.\"{plugin}\".containerd.runtimes.runc]\n  runtime_type = \"io.containerd.runc.v2\"\n"
            );
        }
        text += &format!(
            "[plugins.\"{plugin}\".containerd.runtimes.{HANDLER}]\n  \
               runtime_type = \"{RUNTIME}\"\n  \
               runtime_path = \"{SHIM}\"\n  \
               pod_annotations = {annotations}\n  \
               container_annotations = {annotations}\n\
             [plugins.\"{plugin}\".containerd.runtimes.{HANDLER}.options]\n  \
               SystemdCgroup = {systemd}\n"
        );
        if self.local_pull {
            text += &format!("[plugins.\"{CRI_IMAGES}\"]\n  use_local_image_pull = true\n");
        }
        text
    }

    /// The whole of a file that containerd reads besides its own.
    pub fn drop_in(self) -> String {
        let version = self.version;
        format!(
            "# Made by wasm-node-installer, which removes it again.\nversion = {version}\n{}",
            self.text()
        )
    }
}
