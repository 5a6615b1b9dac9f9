use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// Whether a process listens at this socket. Does not wait for one that is slow
/// to accept.
pub fn is_served(path: &Path) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let connected = SocketAddrUnix::new(path).and_then(|address| {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &address)
    });
    // As many as may wait are waiting (unix(7)).
    matches!(connected, Ok(()) | Err(Errno::AGAIN))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_listener_is_told_from_a_socket_that_was_left() {
        let path = std::env::temp_dir().join(format!("served-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert!(!is_served(&path), "nothing there");
        let listener = UnixListener::bind(&path).unwrap();
        // More than wait at once: none of these may hang.
        assert!((0..200).all(|_| is_served(&path)));
        drop(listener);
        assert!(!is_served(&path), "nobody listens");
        std::fs::remove_file(path).unwrap();
    }
}
