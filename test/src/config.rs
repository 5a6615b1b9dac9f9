//! The configuration file of a private containerd.

use std::path::Path;

/// Where CRI keeps its containers.
pub const CRI_NAMESPACE: &str = "k8s.io";

/// What CRI is made of.
const CRI: [&str; 4] = [
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
    "io.containerd.grpc.v1.cri",
    "io.containerd.podsandbox.controller.v1.podsandbox",
];

/// Plugins that a test does not need: they slow the start, or write outside
/// of the containerd's own folders (`opt` makes /opt/containerd).
const DISABLED: [&str; 10] = [
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.tracing",
    "io.containerd.nri.v1.nri",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
];

/// The text of the file for a containerd of this major version, with all its
/// state below `folder`. `cri` writes what CRI is to be told, if it is to run.
pub fn text(major: u32, folder: &Path, cri: Option<fn(u32, &Path) -> String>) -> String {
    // What is measured must not be slowed down by what is said of it.
    let level = std::env::var("SHIM_TEST_LOG_LEVEL").unwrap_or_else(|_| "debug".into());
    // Version 3 came with containerd 2.0; 1.6 and 1.7 know 2.
    let version = if major >= 2 { 3 } else { 2 };
    let mut disabled = DISABLED.to_vec();
    let cri = match cri {
        Some(cri) => cri(major, folder),
        None => {
            disabled.extend(CRI);
            String::new()
        }
    };
    let folder = folder.display();
    format!(
        "version = {version}\n\
         root = \"{folder}/root\"\n\
         state = \"{folder}/state\"\n\
         disabled_plugins = {disabled:?}\n\
         [grpc]\n  address = \"{folder}/c.sock\"\n\
         [debug]\n  level = \"{level}\"\n\
         {cri}"
    )
}
