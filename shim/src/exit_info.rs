//! How a process ended, asked of the kernel.
#![allow(unsafe_code)]

use std::os::fd::AsFd;

use ipc::ExitStatus;
use rustix::ioctl::{Updater, ioctl, opcode};

/// `struct pidfd_info` of linux/pidfd.h, its first published version.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

const PIDFD_GET_INFO: rustix::ioctl::Opcode = opcode::read_write::<PidfdInfo>(0xff, 11);
/// Asks for, and says that there is, `exit_code`.
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// The status of a process that was waited for by its parent, whoever that is
/// (Linux 6.15 and later); `None` if the kernel can't say, or not yet.
pub fn of(pidfd: impl AsFd) -> Option<ExitStatus> {
    let mut info = PidfdInfo {
        mask: PIDFD_INFO_EXIT,
        ..PidfdInfo::default()
    };
    // SAFETY: the type has the layout that goes with this code in linux/pidfd.h,
    // and the kernel writes no more than the size that the code carries.
    let request = unsafe { Updater::<{ PIDFD_GET_INFO }, _>::new(&mut info) };
    // SAFETY: as above; on a descriptor that is no pidfd the call fails.
    unsafe { ioctl(pidfd, request) }.ok()?;
    (info.mask & PIDFD_INFO_EXIT != 0).then(|| decode(info.exit_code))
}

/// The encoding of wait(2).
fn decode(status: i32) -> ExitStatus {
    match status & 0x7f {
        0 => ExitStatus::Code((status >> 8) & 0xff),
        signal => ExitStatus::Signal(signal),
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    #[test]
    fn statuses_are_decoded() {
        assert_eq!(decode(0), ExitStatus::Code(0));
        assert_eq!(decode(7 << 8), ExitStatus::Code(7));
        assert_eq!(decode(9), ExitStatus::Signal(9));
        assert_eq!(decode(11 | 0x80), ExitStatus::Signal(11));
        assert_eq!(size_of::<PidfdInfo>(), 64);
    }

    /// Where the kernel has it, it is right; an older one says nothing.
    #[test]
    fn the_kernel_is_asked() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read line; exit 9"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        assert_eq!(of(&pidfd), None, "it still runs");
        child.wait().unwrap();
        assert!(matches!(of(&pidfd), None | Some(ExitStatus::Code(9))));
    }
}
