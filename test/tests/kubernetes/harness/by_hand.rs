//! What an operator does by hand so that a cluster has the runtime, and its undoing.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{fs, io};

use shim_test::{cri, paths};

use super::cluster::Cluster;

/// Where containerd has its configuration on most nodes.
const FOLDER: &str = "/etc/containerd";

/// The runtime is taken away from the node's configuration, which then is where an
/// installer looks for it, and the class from the cluster. Dropping it puts all back.
#[derive(Debug)]
pub struct ReadyByHand<'a> {
    cluster: &'a Cluster,
    /// The file that containerd is started with, and its text.
    file: PathBuf,
    text: String,
}

impl<'a> ReadyByHand<'a> {
    pub fn take_away(cluster: &'a Cluster) -> Self {
        let file = cluster.folder.join("config.toml");
        let text = fs::read_to_string(&file).expect("containerd's configuration");
        let kubectl = cluster.kubectl("default");
        kubectl.call(&["delete", "runtimeclass/wasm"]).success();
        let away = Self {
            cluster,
            file,
            text,
        };
        let readme = fs::read_to_string(paths::workspace().join("README.md")).expect("README.md");
        let version = cluster.version();
        let ours = cri::readme::configuration(&readme, version.major());
        let bare = away.text.replace(&ours, "");
        assert_ne!(bare, away.text);
        // The machine's own, which nobody here reads.
        drop(fs::remove_dir_all(FOLDER));
        fs::create_dir(FOLDER).expect("the sandbox's /etc");
        let config = Path::new(FOLDER).join("config.toml");
        fs::write(&config, bare).expect("a configuration");
        replace(&away.file, |link| symlink(&config, link));
        // The node's, and not the machine's.
        let program = Path::new("/usr/local/bin/containerd");
        replace(program, |link| {
            symlink(version.bin.join("containerd"), link)
        });
        cluster.restart_containerd();
        away
    }

    /// All files of containerd's configuration.
    pub fn configuration(&self) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::from(FOLDER)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path.clone());
                    found.push((path, String::new()));
                } else {
                    let text = fs::read_to_string(&path).expect("a file just listed");
                    found.push((path, text));
                }
            }
        }
        found.sort();
        found
    }
}

impl Drop for ReadyByHand<'_> {
    fn drop(&mut self) {
        replace(&self.file, |file| fs::write(file, &self.text));
        self.cluster.restart_containerd();
        self.cluster.make_class();
    }
}

fn replace(path: &Path, make: impl Fn(&Path) -> io::Result<()>) {
    // Not there the first time.
    drop(fs::remove_file(path));
    make(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
