//! `epoll_wait` in place of libc's, for WasmEdge, which tells a guest of EINTR.
//! A guest has no signals and expects none: Rust's standard library aborts when
//! its sleep is interrupted. The kernel ends each epoll_wait so when a cgroup is
//! frozen and thawed (pause), or a process stopped and continued, though there
//! was no signal to handle (signal(7), "Interruption of system calls").
#![allow(unsafe_code)]

use std::ptr;
use std::time::{Duration, Instant};

use libc::{c_int, epoll_event};

/// As epoll_wait(2), but goes on waiting after EINTR. Signals that are handled
/// here end the process, so that nobody is kept waiting.
///
/// # Safety
/// As of libc's: `events` points to room for `count` events.
// SAFETY: the linker prefers a program's symbol to a library's; this one does
// all that libc's does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_wait(
    epoll: c_int,
    events: *mut epoll_event,
    count: c_int,
    timeout: c_int,
) -> c_int {
    let limit = u64::try_from(timeout).ok().map(Duration::from_millis);
    let deadline = limit.map(|limit| Instant::now() + limit);
    let mut timeout = timeout;
    loop {
        // SAFETY: the caller's arguments as they are, but for the time; without
        // a signal mask the two calls are the same (epoll_wait(2)).
        let found = unsafe { libc::epoll_pwait(epoll, events, count, timeout, ptr::null()) };
        if found >= 0 || nix::errno::Errno::last() != nix::errno::Errno::EINTR {
            return found;
        }
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            timeout = c_int::try_from(left.as_millis()).unwrap_or(timeout);
        }
    }
}
