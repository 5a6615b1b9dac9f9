//! What makes a private containerd a node that a kubelet, or who stands for it, can use.

pub mod network;
pub mod readme;

use std::fs;
use std::path::Path;

use crate::paths;

/// What is a private node's own, and then the README's part for this shim. `pause`
/// is the image that holds a pod's namespaces.
pub fn configuration(major: u32, folder: &Path, pause: &str) -> String {
    let networks = network::configure(folder);
    let plugins = network::PLUGINS;
    let cni = format!("bin_dir = \"{plugins}\"\nconf_dir = \"{networks}\"\n");
    // A machine of CI may lack the privilege to lower a score.
    let restrict = "restrict_oom_score_adj = true\n";
    let own = if major >= 2 {
        format!(
            "[plugins.'io.containerd.cri.v1.images'.pinned_images]\n\
             sandbox = \"{pause}\"\n\
             [plugins.'io.containerd.cri.v1.runtime']\n{restrict}\
             [plugins.'io.containerd.cri.v1.runtime'.cni]\n{cni}"
        )
    } else {
        format!(
            "[plugins.'io.containerd.grpc.v1.cri']\n\
             sandbox_image = \"{pause}\"\n{restrict}\
             [plugins.'io.containerd.grpc.v1.cri'.cni]\n{cni}\
             [plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc]\n\
             runtime_type = 'io.containerd.runc.v2'\n"
        )
    };
    let text = fs::read_to_string(paths::workspace().join("README.md")).expect("README.md");
    own + &readme::configuration(&text, major)
}
