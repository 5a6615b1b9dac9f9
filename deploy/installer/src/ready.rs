//! How kubelet finds out that a pod of the installer has done its work: it is ready
//! as long as it listens on a socket without a file, in the pod's own network.
//! A DaemonSet whose pods were ready from their start on would not wait for one node
//! before it goes to the next.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use crate::error::{Error, Result};

/// No two pods meet under it, as each has a network of its own.
pub const NAME: &str = "wasm-node-installer-ready";

fn address(name: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(name)
}

/// Says so until it is dropped. Only the probe misses it where it can't.
pub fn tell(name: &str) -> Option<UnixListener> {
    let bound = address(name).and_then(|address| UnixListener::bind_addr(&address));
    bound
        .inspect_err(|error| eprintln!("note: probes of this pod will fail: {error}"))
        .ok()
}

/// What the DaemonSet's probe runs.
pub fn ask(name: &str) -> Result<()> {
    let connected = address(name).and_then(|address| UnixStream::connect_addr(&address));
    connected.map(drop).map_err(|_| {
        Error::invalid("this pod is not done yet: its log says what it has done and what failed")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_from_tell_to_drop() {
        let name = format!("{NAME}-{}", std::process::id());
        assert!(ask(&name).is_err());
        let told = tell(&name);
        ask(&name).unwrap();
        drop(told);
        assert!(ask(&name).is_err());
    }
}
