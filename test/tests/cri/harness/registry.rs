//! A registry for images, Debian's docker-registry, as pods get theirs from one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use shim_test::entry::Entry;
use shim_test::guest_image::NATIVE;
use shim_test::image::Image;
use shim_test::{command, containerd, guest_image, packer, paths};

const LIMIT: Duration = Duration::from_secs(30);
/// In the suite's own network, where nobody else listens.
const ADDRESS: &str = "localhost:5000";

/// The guest: for `wasi/wasm`, if that is what is under test.
pub const GUEST_IMAGE: &str = "localhost:5000/guest:1";
/// A native program that waits, as a sidecar does.
pub const NATIVE_IMAGE: &str = "localhost:5000/native:1";
/// The guest, packed by `wasm-oci` for `wasi/wasm`.
pub const PACKED_IMAGE: &str = "localhost:5000/packed:1";
/// What holds a pod's namespaces.
pub const PAUSE_IMAGE: &str = "localhost:5000/pause:1";

/// A running registry. Dropping it ends it.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    folder: PathBuf,
}

impl Registry {
    /// `folder`: where it may keep what it has.
    pub fn start(folder: &Path) -> Self {
        let folder = folder.join("registry");
        fs::create_dir(&folder).expect("a folder in the sandbox's /run");
        let config = json!({
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": folder.join("data")}},
            "http": {"addr": ADDRESS},
        });
        let file = folder.join("config.yml");
        fs::write(&file, config.to_string()).expect("the registry's configuration");
        let program = paths::workspace().join("target/parts/registry/usr/bin/docker-registry");
        let mut command = Command::new(&program);
        command.arg("serve").arg(&file).env_clear();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}: run make parts", program.display()));
        let (ready, wait) = mpsc::channel();
        let stderr = process.stderr.take().expect("piped");
        containerd::follow(stderr, folder.join("log"), "listening on", ready);
        let registry = Self { process, folder };
        assert!(
            wait.recv_timeout(LIMIT).is_ok(),
            "the registry did not start:\n{}",
            containerd::log_tail(&registry.folder)
        );
        registry.push_image(&guest());
        registry.push_packed();
        for (name, job) in [(NATIVE_IMAGE, "sleep"), (PAUSE_IMAGE, "pause")] {
            let config = json!({"Entrypoint": [NATIVE], "Cmd": [job]});
            registry.push_image(&Image::new(name, native(), config));
        }
        registry
    }

    fn push_image(&self, image: &Image) {
        let archive = self.folder.join("image.tar");
        image.write(&archive);
        push(&archive, &image.name);
    }

    fn push_packed(&self) {
        let archive = self.folder.join("image.tar");
        let flags = ["--tag", PACKED_IMAGE, "--", "args", "of the image"];
        packer::pack(&paths::guest("guest.wasm"), &archive, &flags);
        push(&archive, PACKED_IMAGE);
    }
}

/// Pushes the archive's image as a single manifest, as `docker push` does, and
/// removes the archive.
fn push(archive: &Path, name: &str) {
    let mut skopeo = Command::new("skopeo");
    skopeo
        .args(["--insecure-policy", "copy", "--quiet"])
        .arg("--dest-tls-verify=false")
        .arg(format!("oci-archive:{}", archive.display()))
        .arg(format!("docker://{name}"));
    command::output(skopeo, LIMIT).success();
    fs::remove_file(archive).expect("the archive just written");
}

/// With the folders that a runtime mounts on, so that none has to be made.
fn native() -> Vec<Entry> {
    let folders = ["bin", "dev", "etc", "proc", "run", "sys", "tmp"];
    let mut entries: Vec<_> = folders.map(|path| Entry::folder(path, 0o755)).into();
    entries.push(Entry::copy(NATIVE, 0o755, &paths::guest("native")));
    entries
}

fn guest() -> Image {
    let mut image = if paths::runs_wasm() {
        guest_image::guest_for_wasi()
    } else {
        guest_image::guest()
    };
    image.name = GUEST_IMAGE.into();
    image
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have crashed: then there is nobody to tell.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        command::finish(&mut self.process, LIMIT);
    }
}
