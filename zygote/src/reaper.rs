use std::collections::HashSet;

use ipc::{ExitStatus, FromZygote};
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Collects the exit statuses of launchers (thrown away) and of the init
/// processes that the shim has asked for (reported). The latter stay zombies
/// until they are asked for, so that their pids can't be given to others.
#[derive(Debug, Default)]
pub struct Reaper {
    launchers: HashSet<Pid>,
    wanted: Vec<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    launcher: Pid,
    pid: Pid,
}

impl Reaper {
    pub fn add_launcher(&mut self, pid: Pid) {
        self.launchers.insert(pid);
    }

    pub fn want(&mut self, launcher: i32, pid: i32) {
        self.wanted.push(Wanted {
            launcher: Pid::from_raw(launcher),
            pid: Pid::from_raw(pid),
        });
    }

    /// What is known by now of what was asked for.
    pub fn reap(&mut self) -> Vec<FromZygote> {
        self.launchers
            .retain(|launcher| matches!(try_wait(*launcher), Waited::Running));
        let launchers = &self.launchers;
        let mut known = Vec::new();
        self.wanted.retain(|wanted| {
            let status = match try_wait(wanted.pid) {
                Waited::Running => return true,
                // As long as its launcher lives, the process is the launcher's.
                Waited::NotOurs if launchers.contains(&wanted.launcher) => return true,
                Waited::NotOurs => None,
                Waited::Ended(status) => Some(status),
            };
            known.push(FromZygote::Exited {
                pid: wanted.pid.as_raw(),
                status,
            });
            false
        });
        known
    }
}

enum Waited {
    Running,
    NotOurs,
    Ended(ExitStatus),
}

fn try_wait(pid: Pid) -> Waited {
    match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => Waited::Ended(ExitStatus::Code(code)),
        Ok(WaitStatus::Signaled(_, signal, _)) => Waited::Ended(ExitStatus::Signal(signal as i32)),
        Ok(_) | Err(Errno::EINTR) => Waited::Running,
        Err(_) => Waited::NotOurs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_only_what_was_asked_for() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "exit 7"])
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let mut reaper = Reaper::default();
        assert!(reaper.reap().is_empty());
        reaper.want(1, pid);
        let mut known = reaper.reap();
        while known.is_empty() {
            std::thread::yield_now();
            known = reaper.reap();
        }
        assert_eq!(
            known,
            [FromZygote::Exited {
                pid,
                status: Some(ExitStatus::Code(7))
            }]
        );
        assert!(reaper.reap().is_empty());
        assert!(child.try_wait().is_err(), "the zombie is gone");
    }

    #[test]
    fn a_stranger_is_said_to_be_one() {
        let mut reaper = Reaper::default();
        reaper.want(1, 1);
        assert_eq!(
            reaper.reap(),
            [FromZygote::Exited {
                pid: 1,
                status: None
            }]
        );
    }
}
