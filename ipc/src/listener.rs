use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen,
    socket_with, sockopt::socket_peercred,
};

use crate::channel::{Channel, Error, Result, io};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 128;

/// Where a zygote is reached: a Unix socket that keeps packets apart, for root.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Listens at `path`, which must not exist, in a folder of root's.
    pub fn bind(path: &Path) -> Result<Self> {
        let socket = socket()?;
        let address = SocketAddrUnix::new(path).map_err(io)?;
        bind(&socket, &address).map_err(io)?;
        listen(&socket, BACKLOG).map_err(io)?;
        Ok(Self(socket))
    }

    /// The next connection; `None` if the peer is not root.
    pub fn accept(&self) -> Result<Option<Channel>> {
        let accepted = accept_with(&self.0, SocketFlags::CLOEXEC).map_err(io)?;
        Ok(is_roots(&accepted).then(|| Channel::from(accepted)))
    }
}

impl Channel {
    /// Connects to the listener at `path`, if root's is one.
    pub fn connect(path: &Path) -> Result<Self> {
        let socket = socket()?;
        let address = SocketAddrUnix::new(path).map_err(io)?;
        connect(&socket, &address).map_err(io)?;
        if is_roots(&socket) {
            Ok(Self::from(socket))
        } else {
            Err(Error::Stranger)
        }
    }
}

fn socket() -> Result<OwnedFd> {
    socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(io)
}

fn is_roots(socket: &OwnedFd) -> bool {
    socket_peercred(socket).is_ok_and(|peer| peer.uid.is_root())
}

impl From<OwnedFd> for Listener {
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

impl From<Listener> for OwnedFd {
    fn from(listener: Listener) -> Self {
        listener.0
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToZygote;

    #[test]
    fn a_connection_carries_messages() {
        let path = std::env::temp_dir().join(format!("ipc-listener-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert!(Channel::connect(&path).is_err(), "nobody listens");
        let listener = Listener::bind(&path).unwrap();
        let client = Channel::connect(&path).unwrap();
        client
            .send(&ToZygote::Fork { own_network: None }, &[])
            .unwrap();
        let server = listener.accept().unwrap().expect("root's, as this test");
        assert_eq!(
            server.recv::<ToZygote>().unwrap().0,
            ToZygote::Fork { own_network: None }
        );
        std::fs::remove_file(path).unwrap();
    }
}
