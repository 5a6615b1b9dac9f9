//! Network namespaces for containers, with a wire between two of them.

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
    names: [String; 2],
}

impl Wire {
    /// `name`: one that no other test has.
    pub fn new(name: &str) -> Self {
        let names = [format!("{name}-near"), format!("{name}-far")];
        let wire = Self { names };
        let [near, far] = &wire.names;
        for (namespace, _) in wire.ends() {
            ip(&["netns", "add", namespace]);
        }
        ip(&[
            "-n", near, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", far,
        ]);
        for (namespace, address) in wire.ends() {
            let address = format!("{address}/30");
            ip(&["-n", namespace, "address", "add", &address, "dev", "wire"]);
            for device in ["lo", "wire"] {
                ip(&["-n", namespace, "link", "set", device, "up"]);
            }
        }
        wire
    }

    fn ends(&self) -> [(&str, &str); 2] {
        [(&self.names[0], NEAR), (&self.names[1], FAR)]
    }

    /// The far namespace, as config.json and `ctr --with-ns` take it.
    pub fn path(&self) -> String {
        format!("/run/netns/{}", self.names[1])
    }

    /// Sends a text from the near end to a port of the far one, and returns
    /// what comes back.
    pub fn ask(&self, port: u16, text: &str) -> String {
        let talk = format!("exec 3<>/dev/tcp/{FAR}/{port} && printf %s '{text}' >&3 && cat <&3");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[0], "bash", "-c", &talk]);
        command::output(command, ctr::LIMIT).success()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for (namespace, _) in self.ends() {
            // Also after a failure to make it.
            run_ip(&["netns", "delete", namespace]);
        }
    }
}

fn ip(args: &[&str]) {
    run_ip(args).success();
}

fn run_ip(args: &[&str]) -> Output {
    let mut command = Command::new("ip");
    command.args(args);
    command::output(command, ctr::LIMIT)
}
