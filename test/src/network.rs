//! Network namespaces for containers, with a wire between two of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Output};
use crate::ctr;

/// The addresses of the two ends.
pub const NEAR: &str = "10.213.77.1";
pub const FAR: &str = "10.213.77.2";

/// Two new network namespaces that reach each other, and nothing else. The
/// near one stands for the host; the machine's own network is left alone.
#[derive(Debug)]
pub struct Wire {
    near: PathBuf,
    far: PathBuf,
}

impl Wire {
    /// `folder`: an empty one, for the files that stand for the namespaces.
    pub fn new(folder: &Path) -> Self {
        let wire = Self {
            near: folder.join("near"),
            far: folder.join("far"),
        };
        for (namespace, _) in wire.ends() {
            fs::write(namespace, "").expect("a file to mount on");
            run(
                "unshare",
                &[&format!("--net={}", namespace.display()), "true"],
            )
            .success();
        }
        let far = wire.far.to_string_lossy();
        let link = [
            "ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", &far,
        ];
        inside(&wire.near, &link).success();
        for (namespace, address) in wire.ends() {
            let address = format!("{address}/30");
            inside(
                namespace,
                &["ip", "address", "add", &address, "dev", "wire"],
            )
            .success();
            for device in ["lo", "wire"] {
                inside(namespace, &["ip", "link", "set", device, "up"]).success();
            }
        }
        wire
    }

    fn ends(&self) -> [(&Path, &str); 2] {
        [(&self.near, NEAR), (&self.far, FAR)]
    }

    /// The far namespace, as config.json and `ctr --with-ns` take it.
    pub fn path(&self) -> &Path {
        &self.far
    }

    /// Sends a text from the near end to a port of the far one, and returns
    /// what comes back.
    pub fn ask(&self, port: u16, text: &str) -> String {
        let talk = format!("exec 3<>/dev/tcp/{FAR}/{port} && printf %s '{text}' >&3 && cat <&3");
        inside(&self.near, &["bash", "-c", &talk]).success()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for (namespace, _) in self.ends() {
            // Also after a failure to make it.
            run("umount", &[&namespace.to_string_lossy()]);
        }
    }
}

/// Runs a command in a network namespace.
fn inside(namespace: &Path, line: &[&str]) -> Output {
    let flag = format!("--net={}", namespace.display());
    run("nsenter", &[&[flag.as_str()], line].concat())
}

fn run(program: &str, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args);
    command::output(command, ctr::LIMIT)
}
