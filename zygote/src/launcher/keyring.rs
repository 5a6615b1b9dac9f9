//! A container's own session keyring (keyrings(7)): without one it has that of
//! the zygote, as have all others.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io::Error as IoError;

use crate::error::{Error, Result};

const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;

/// Joins a new session keyring, named as runc names it.
pub fn join_own(id: &str) -> Result<()> {
    let name = CString::new(format!("_ses.{id}")).unwrap_or_default();
    // SAFETY: the name is a string that ends with NUL and outlives the call,
    // which only reads it.
    let joined =
        unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
    let error = IoError::last_os_error();
    // A kernel without keyrings has none to share.
    if joined >= 0 || error.raw_os_error() == Some(libc::ENOSYS) {
        return Ok(());
    }
    Err(Error::System {
        what: "can't join a session keyring",
        source: error,
    })
}
