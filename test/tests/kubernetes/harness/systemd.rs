//! A `systemctl` of the node for one who restarts containerd, which is this program's.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::cluster::Cluster;

/// Before the machine's own on a PATH.
const PROGRAM: &str = "/usr/local/bin/systemctl";

/// Serves until it is dropped.
#[derive(Debug)]
pub struct Systemd {
    asked: PathBuf,
    server: Option<JoinHandle<usize>>,
}

impl Systemd {
    pub fn of(cluster: &Arc<Cluster>) -> Self {
        let folder = cluster.folder.join("systemd");
        fs::create_dir_all(&folder).expect("a folder in the sandbox's /run");
        let [asked, done] = ["asked", "done"].map(|name| fifo(&folder.join(name)));
        // It returns when containerd serves again, as for a unit of Type=notify.
        let script = format!(
            "#!/bin/sh\n\
             case \"$*\" in\n\
             'is-active containerd') echo active ;;\n\
             'show --property=KillMode containerd') echo KillMode=process ;;\n\
             'restart containerd') echo restart >{} && read -r _ <{} ;;\n\
             *) echo \"systemctl: $*?\" >&2; exit 1 ;;\n\
             esac\n",
            asked.display(),
            done.display()
        );
        fs::write(PROGRAM, script).expect("the node's own folder");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(PROGRAM, executable).expect("a file just written");
        let server = thread::spawn({
            let (asked, cluster) = (asked.clone(), Arc::clone(cluster));
            move || serve(&cluster, &asked, &done)
        });
        Self {
            asked,
            server: Some(server),
        }
    }

    /// Ends it, and tells how many restarts it was asked for.
    pub fn finish(mut self) -> usize {
        let server = self.server.take().expect("taken here alone");
        end(&self.asked);
        server.join().expect("a server that did not panic")
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        if self
            .server
            .take()
            .is_some_and(|server| !server.is_finished())
        {
            end(&self.asked);
        }
        drop(fs::remove_file(PROGRAM));
    }
}

fn end(asked: &Path) {
    fs::write(asked, "end\n").expect("a pipe that is read");
}

fn serve(cluster: &Cluster, asked: &Path, done: &Path) -> usize {
    let mut restarts = 0;
    loop {
        let asker = File::open(asked).expect("a pipe");
        for line in BufReader::new(asker).lines() {
            if line.expect("a pipe") == "end" {
                return restarts;
            }
            cluster.restart_containerd();
            restarts += 1;
            let mut answer = File::create(done).expect("a pipe");
            answer.write_all(b"done\n").expect("one who waits");
        }
    }
}

fn fifo(path: &Path) -> PathBuf {
    // From a test before this one.
    drop(fs::remove_file(path));
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    path.into()
}
