//! The images that the node has before any pod is run.

use serde_json::json;
use shim_test::containerd::Containerd;
use shim_test::entry::Entry;
use shim_test::guest_image::{self, NATIVE};
use shim_test::image::Image;
use shim_test::paths;

/// What holds a pod's namespaces.
pub const PAUSE: &str = "localhost/pause:1";

pub fn import(containerd: &Containerd) {
    let native = || {
        let folder = Entry::folder("bin", 0o755);
        vec![folder, Entry::copy(NATIVE, 0o755, &paths::guest("native"))]
    };
    let config = json!({"Entrypoint": [NATIVE], "Cmd": ["pause"]});
    containerd.import(&Image::new(PAUSE, native(), config));
    containerd.import(&guest_image::guest());
    containerd.import(&guest_image::guest_for_wasi());
}
