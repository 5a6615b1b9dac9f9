//! Waits with a time limit, for events wherever the kernel reports them.

use std::os::fd::AsFd;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Whether `child` ended within `limit`.
pub fn child_ends(child: &Child, limit: Duration) -> bool {
    process_ends(child.id(), limit)
}

/// Whether the process ended within `limit`. One that does not exist has ended.
pub fn process_ends(pid: u32, limit: Duration) -> bool {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a pid");
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return true;
    };
    let mut fds = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
    let deadline = Instant::now() + limit;
    loop {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now()))
            .expect("a short time");
        match poll(&mut fds, Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.expect("poll of a pidfd") > 0,
        }
    }
}

/// Panics unless `check` answers `None` within `limit`; what it answers instead
/// says what is wrong. Only for what no event tells (mounts, cgroup folders).
pub fn until_clean(limit: Duration, mut check: impl FnMut() -> Option<String>) {
    let deadline = Instant::now() + limit;
    while let Some(problem) = check() {
        assert!(
            Instant::now() < deadline,
            "after {limit:?} there is still {problem}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}
