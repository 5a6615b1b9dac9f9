//! Any packet on a connection between shim, zygote, launcher and guest.
#![no_main]

use std::fmt::Debug;
use std::os::fd::{AsFd, OwnedFd};

use ipc::{
    Channel, FromCompiler, FromLauncher, FromLibrary, FromZygote, ToLauncher, ToLibrary, ToZygote,
};
use libfuzzer_sys::fuzz_target;
use rustix::net::{SendFlags, send};
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, packet) = input;
    match kind % 7 {
        0 => receive::<ToZygote>(packet),
        1 => receive::<FromZygote>(packet),
        2 => receive::<ToLauncher>(packet),
        3 => receive::<FromLauncher>(packet),
        4 => receive::<ToLibrary>(packet),
        5 => receive::<FromLibrary>(packet),
        _ => receive::<FromCompiler>(packet),
    }
});

/// What is understood is understood again when it is sent on.
fn receive<T: Serialize + DeserializeOwned + Debug + PartialEq>(packet: &[u8]) {
    let (one, other) = Channel::pair().expect("a pair");
    let one = OwnedFd::from(one);
    if send(one.as_fd(), packet, SendFlags::NOSIGNAL).is_err() {
        return;
    }
    let Ok((message, fds)) = other.try_recv::<T>() else {
        return;
    };
    assert!(fds.is_empty());
    let one = Channel::from(one);
    if one.send(&message, &[]).is_ok() {
        let (again, _) = other.try_recv::<T>().expect("our own message");
        assert_eq!(again, message);
    }
}
