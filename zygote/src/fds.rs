//! Descriptors that a forked process must not hold. No exec happens in a Wasm
//! guest, so close-on-exec closes nothing there.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::RawFd;

use crate::error::{Context, Result};

/// Closes a descriptor whose owner lives in the memory that was forked, and is
/// never dropped here: forked processes end without running its destructor.
pub fn close(fd: RawFd) {
    // SAFETY: close of any number is defined; no code of this process uses
    // this descriptor any more (see above).
    unsafe { libc::close(fd) };
}

/// Closes all but stdin, stdout and stderr.
pub fn close_all_but_stdio() {
    close_all_but(&[]);
}

/// Closes all but stdin, stdout, stderr and these.
pub fn close_all_but(kept: &[RawFd]) {
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    let mut from = 3;
    for fd in kept {
        close_between(from, fd);
        from = fd + 1;
    }
    close_between(from, RawFd::MAX);
}

/// The second not included.
fn close_between(from: RawFd, to: RawFd) {
    if from >= to {
        return;
    }
    // SAFETY: closing is defined for any range; as for `close`, the owners of
    // these descriptors are never used or dropped again.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, from, to - 1, 0) };
    if closed != 0 {
        // A kernel before 5.9, or a seccomp profile that forbids it.
        for fd in from..to.min(1024) {
            close(fd);
        }
    }
}

/// Leaves what the shim gave as standard streams: what to work on, the folder of
/// this program, and a pipe for complaints of a start that fails.
pub fn quiet() -> Result<()> {
    release_input()?;
    rustix::stdio::dup2_stderr(null()?).context(STREAMS)
}

/// The same, but what there is to complain of is still said.
pub fn release_input() -> Result<()> {
    let null = null()?;
    rustix::stdio::dup2_stdin(&null).context(STREAMS)?;
    rustix::stdio::dup2_stdout(&null).context(STREAMS)
}

const STREAMS: &str = "can't replace the standard streams";

fn null() -> Result<File> {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .context("can't open /dev/null")
}
