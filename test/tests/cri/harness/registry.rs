//! A registry for images, Debian's docker-registry, as pods get theirs from one.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use shim_test::entry::Entry;
use shim_test::guest_image::NATIVE;
use shim_test::image::Image;
use shim_test::{command, containerd, guest_image, image, packer, paths};

const LIMIT: Duration = Duration::from_secs(30);
/// In the suite's own network, where nobody else listens.
const ADDRESS: &str = "localhost:5000";

/// The guest: for `wasi/wasm`, if that is what is under test.
pub const GUEST_IMAGE: &str = "localhost:5000/guest:1";
/// A native program that waits, as a sidecar does.
pub const NATIVE_IMAGE: &str = "localhost:5000/native:1";
/// The guest, packed by `wasm-oci` for `wasi/wasm`.
pub const PACKED_IMAGE: &str = "localhost:5000/packed:1";
/// The same in an index, as `docker buildx` pushes images.
pub const INDEX_IMAGE: &str = "localhost:5000/packed:index";
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
        push_index();
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

/// Makes an index of the one image that was packed.
fn push_index() {
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--tls-verify=false", "--raw"]);
    skopeo.arg(format!("docker://{PACKED_IMAGE}"));
    let manifest = command::output(skopeo, LIMIT).success();
    let entry = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": image::digest(manifest.as_bytes()),
        "size": manifest.len(),
        "platform": {"os": "wasi", "architecture": "wasm"},
    });
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": [entry]});
    let index = index.to_string();
    let mut connection = TcpStream::connect(ADDRESS).expect("the registry");
    let request = format!(
        "PUT /v2/packed/manifests/index HTTP/1.1\r\nHost: {ADDRESS}\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{index}",
        index.len()
    );
    let sent = connection.write_all(request.as_bytes());
    sent.expect("a connection to the registry");
    let mut answer = String::new();
    let read = connection.read_to_string(&mut answer);
    read.expect("the registry's answer");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
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
