//! One containerd with CRI, and what a node has beside it.

use std::fs;
use std::path::Path;

use k8s_cri::v1::{ImageSpec, PullImageRequest};
use shim_test::containerd::{Containerd, Options};
use shim_test::paths;
use shim_test::versions::Version;

use super::client::{Client, Result};
use super::registry::{GUEST_IMAGE, NATIVE_IMAGE, PAUSE_IMAGE, Registry};
use super::{network, pod};
use crate::readme;

/// A running node. Dropping it removes all that it made.
#[derive(Debug)]
pub struct Server {
    pub client: Client,
    pub containerd: Containerd,
    _registry: Registry,
}

impl Server {
    /// Starts everything, and pulls the images.
    pub fn start(version: &Version) -> Self {
        let options = Options {
            name: format!("cri-{}", version.name),
            shim_bin: paths::shim_tree().join("bin"),
            wrapper: Vec::new(),
            cri: Some(configuration),
        };
        let containerd = Containerd::bare(version, &options);
        let registry = Registry::start(containerd.folder());
        let server = Self {
            client: Client::connect(&containerd.socket()),
            containerd,
            _registry: registry,
        };
        for image in [GUEST_IMAGE, NATIVE_IMAGE] {
            let pulled = server.pull(image);
            pulled.unwrap_or_else(|error| panic!("{image}: {error}"));
        }
        server
    }

    pub fn pull(&self, image: &str) -> Result<()> {
        let spec = ImageSpec {
            image: image.into(),
            ..Default::default()
        };
        let request = PullImageRequest {
            image: Some(spec),
            ..Default::default()
        };
        self.client
            .image(async |cri| cri.pull_image(request).await)
            .map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        pod::remove_all(&self.client, self.containerd.group(), None);
        network::remove();
    }
}

/// What is this node's own, and then the README's part for this shim.
fn configuration(major: u32, folder: &Path) -> String {
    let networks = network::configure(folder);
    let plugins = network::PLUGINS;
    let cni = format!("bin_dir = \"{plugins}\"\nconf_dir = \"{networks}\"\n");
    // A machine of CI may lack the privilege to lower a score.
    let restrict = "restrict_oom_score_adj = true\n";
    let own = if major >= 2 {
        format!(
            "[plugins.'io.containerd.cri.v1.images'.pinned_images]\n\
             sandbox = \"{PAUSE_IMAGE}\"\n\
             [plugins.'io.containerd.cri.v1.runtime']\n{restrict}\
             [plugins.'io.containerd.cri.v1.runtime'.cni]\n{cni}"
        )
    } else {
        format!(
            "[plugins.'io.containerd.grpc.v1.cri']\n\
             sandbox_image = \"{PAUSE_IMAGE}\"\n{restrict}\
             [plugins.'io.containerd.grpc.v1.cri'.cni]\n{cni}\
             [plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc]\n\
             runtime_type = 'io.containerd.runc.v2'\n"
        )
    };
    let text = fs::read_to_string(paths::workspace().join("README.md")).expect("README.md");
    own + &readme::configuration(&text, major)
}
