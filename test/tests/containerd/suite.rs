//! What the tests share.

use rustix::process::{Pid, Signal, kill_process};
use shim_test::case::Case;

pub type Test = shim_test::suite::Test<Case>;

/// Ends one process, given by its pid in the sandbox, with SIGKILL.
pub fn kill(pid: u32) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a pid");
    assert_ne!(pid, Pid::INIT, "0 or 1 is never a container's");
    kill_process(pid, Signal::KILL).expect("a process of this test");
}
