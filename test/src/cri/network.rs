//! The network of pods: a bridge, made by the plugins that Debian has.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

/// Where Debian has the plugins.
pub const PLUGINS: &str = "/usr/lib/cni";
const BRIDGE: &str = "pods";
const SUBNET: &str = "10.213.78.0/24";

/// Writes the network's configuration below `folder` and returns its folder.
pub fn configure(folder: &Path) -> String {
    let cni = folder.join("cni");
    fs::create_dir_all(&cni).expect("a folder in the sandbox's /run");
    let network = json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": true,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": SUBNET}]],
                "routes": [{"dst": "0.0.0.0/0"}],
                "dataDir": folder.join("addresses"),
            },
        }],
    });
    fs::write(cni.join("pods.conflist"), network.to_string()).expect("the network's file");
    cni.display().to_string()
}

/// Removes the bridge, which the plugins leave for the next pod.
pub fn remove() {
    let mut command = Command::new("ip");
    // Not there if no pod was.
    drop(command.args(["link", "delete", BRIDGE]).output());
}
