//! One containerd with CRI, and what a node has beside it.

use k8s_cri::v1::{ImageSpec, PullImageRequest};
use shim_test::containerd::{Containerd, Options};

use shim_test::versions::Version;
use shim_test::{cri, paths};

use super::client::{Client, Result};
use super::pod;
use super::registry::{GUEST_IMAGE, NATIVE_IMAGE, PAUSE_IMAGE, Registry};

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
            cri: Some(|major, folder| cri::configuration(major, folder, PAUSE_IMAGE)),
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
        cri::network::remove();
    }
}
