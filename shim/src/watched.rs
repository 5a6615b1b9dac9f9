//! Descriptors that tokio watches.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};

use ipc::Channel;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor whose readiness can be awaited.
pub type Watched<T> = AsyncFd<T>;

/// Has tokio watch `fd`, for as long as what is returned lives.
pub fn watch<T: AsRawFd + Into<OwnedFd>>(fd: T) -> std::io::Result<Watched<T>> {
    // SAFETY: a type that becomes an `OwnedFd` owns its descriptor, so that it
    // stays open and the same until the `AsyncFd`, which owns it, is dropped.
    unsafe { AsyncFd::register(fd) }.map_err(std::io::Error::from)
}

/// Receives the next message of a channel.
pub async fn recv<T: DeserializeOwned>(
    channel: &Watched<Channel>,
) -> ipc::Result<(T, Vec<OwnedFd>)> {
    channel
        .async_io(Interest::READABLE, |channel| match channel.try_recv() {
            // What is to be waited for, or is wrong with the socket.
            Err(ipc::Error::Socket(error)) => Err(error),
            received => Ok(received),
        })
        .await?
}
