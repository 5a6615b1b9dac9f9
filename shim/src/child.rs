use std::process::Child;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::task::JoinHandle;

use crate::error::{Context, Result};
use crate::watched::watch;

/// Waits for the end of a child, which may live longer than this process, so
/// that no zombie is left if it does not. What is returned ends with the child.
pub fn reap(mut child: Child) -> Result<JoinHandle<()>> {
    let what = "can't watch a process";
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pidfd = pid
        .ok_or(rustix::io::Errno::SRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
        .context(what)?;
    let pidfd = watch(pidfd).context(what)?;
    Ok(tokio::spawn(async move {
        let _ = pidfd.readable().await;
        let _ = child.wait();
    }))
}
