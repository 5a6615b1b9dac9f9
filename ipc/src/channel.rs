use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest message in bytes; a longer one is a bug or an attack.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// The most modules of an artifact that a container is made with.
pub const MAX_MODULES: usize = 32;
/// The most descriptors that one message carries: the standard streams, the
/// store of native code, and the modules of an artifact.
pub const MAX_FDS: usize = 4 + MAX_MODULES;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the other side closed the connection")]
    Closed,
    #[error("the other side of the connection is not root")]
    Stranger,
    #[error("a message of {0} bytes is longer than {MAX_MESSAGE}")]
    TooLong(usize),
    #[error("a message was cut off on its way")]
    CutOff,
    #[error("a message can't be understood: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("socket: {0}")]
    Socket(#[from] std::io::Error),
}

impl Error {
    pub fn is_would_block(&self) -> bool {
        matches!(self, Self::Socket(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// One end of a connection: a Unix socket that keeps packets apart, so that a
/// message and its descriptors arrive together or not at all.
#[derive(Debug)]
pub struct Channel(OwnedFd);

impl Channel {
    /// Two connected ends; both close on exec.
    pub fn pair() -> Result<(Self, Self)> {
        let (one, other) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(io)?;
        Ok((Self(one), Self(other)))
    }

    /// Sends one message; waits for room.
    pub fn send(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> Result<()> {
        self.send_with(message, fds, SendFlags::empty())
    }

    /// As [`Channel::send`], but fails with a would-block error where that waits.
    pub fn try_send(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> Result<()> {
        self.send_with(message, fds, SendFlags::DONTWAIT)
    }

    /// Receives one message and its descriptors; waits for it.
    pub fn recv<T: DeserializeOwned>(&self) -> Result<(T, Vec<OwnedFd>)> {
        self.recv_with(RecvFlags::empty())
    }

    /// As [`Channel::recv`], but fails with a would-block error where that waits.
    pub fn try_recv<T: DeserializeOwned>(&self) -> Result<(T, Vec<OwnedFd>)> {
        self.recv_with(RecvFlags::DONTWAIT)
    }

    fn send_with(
        &self,
        message: &impl Serialize,
        fds: &[BorrowedFd<'_>],
        flags: SendFlags,
    ) -> Result<()> {
        let bytes = serde_json::to_vec(message)?;
        if bytes.len() > MAX_MESSAGE {
            return Err(Error::TooLong(bytes.len()));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(fds));
        }
        rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(
                &self.0,
                &[IoSlice::new(&bytes)],
                &mut ancillary,
                flags | SendFlags::NOSIGNAL,
            )
        })
        .map_err(|errno| match errno {
            Errno::PIPE | Errno::CONNRESET => Error::Closed,
            other => io(other),
        })?;
        Ok(())
    }

    fn recv_with<T: DeserializeOwned>(&self, flags: RecvFlags) -> Result<(T, Vec<OwnedFd>)> {
        let mut bytes = vec![0; MAX_MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::io::retry_on_intr(|| {
            rustix::net::recvmsg(
                &self.0,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut ancillary,
                flags | RecvFlags::CMSG_CLOEXEC,
            )
        })
        .map_err(|errno| match errno {
            Errno::CONNRESET => Error::Closed,
            other => io(other),
        })?;
        // Taken before anything can fail, so that none is left open.
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(passed) = message {
                fds.extend(passed);
            }
        }
        if received.bytes == 0 {
            return Err(Error::Closed);
        }
        if received
            .flags
            .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
        {
            return Err(Error::CutOff);
        }
        Ok((serde_json::from_slice(&bytes[..received.bytes])?, fds))
    }
}

pub(crate) fn io(errno: Errno) -> Error {
    Error::Socket(errno.into())
}

impl From<OwnedFd> for Channel {
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.0
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl std::os::fd::AsRawFd for Channel {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use super::*;
    use crate::{FromLauncher, ToZygote};

    #[test]
    fn a_message_arrives_with_its_descriptors() {
        let (one, other) = Channel::pair().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let fork = ToZygote::Fork { own_network: None };
        one.send(&fork, &[writer.as_fd()]).unwrap();
        drop(writer);
        let (message, fds) = other.recv::<ToZygote>().unwrap();
        assert_eq!(message, fork);
        let [fd] = <[OwnedFd; 1]>::try_from(fds).unwrap();
        File::from(fd).write_all(b"through").unwrap();
        let mut text = String::new();
        { reader }.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn messages_stay_apart_and_in_order() {
        let (one, other) = Channel::pair().unwrap();
        for pid in 0..3 {
            let phases = vec![];
            one.send(&FromLauncher::Created { pid, phases }, &[])
                .unwrap();
        }
        for pid in 0..3 {
            let (message, fds) = other.recv::<FromLauncher>().unwrap();
            let phases = vec![];
            assert_eq!(message, FromLauncher::Created { pid, phases });
            assert!(fds.is_empty());
        }
    }

    #[test]
    fn a_closed_end_is_told_apart_from_an_empty_one() {
        let (one, other) = Channel::pair().unwrap();
        assert!(one.try_recv::<ToZygote>().unwrap_err().is_would_block());
        drop(other);
        assert!(matches!(one.recv::<ToZygote>(), Err(Error::Closed)));
        assert!(matches!(
            one.send(&ToZygote::Fork { own_network: None }, &[]),
            Err(Error::Closed)
        ));
    }

    #[test]
    fn garbage_is_an_error_and_its_descriptors_are_closed() {
        let (one, other) = Channel::pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        one.send(&"no such message", &[writer.as_fd()]).unwrap();
        drop(writer);
        assert!(matches!(other.recv::<ToZygote>(), Err(Error::Malformed(_))));
        // EOF: the only other writer was the passed one.
        assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
    }

    #[test]
    fn too_long_is_refused_by_the_sender() {
        let (one, _other) = Channel::pair().unwrap();
        let reason = "x".repeat(MAX_MESSAGE);
        assert!(matches!(
            one.send(&FromLauncher::Failed { reason }, &[]),
            Err(Error::TooLong(_))
        ));
    }
}
