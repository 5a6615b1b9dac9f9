use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use ipc::{ExitStatus, FromZygote};
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// How long a status is kept for a shim to ask for; it asks at once, so what is
/// older belongs to one that is gone.
const KEEP_FOR: Duration = Duration::from_secs(60);

/// Collects the exit statuses of this process's children, which are launchers
/// and, when these have ended, the init processes that they made; and answers
/// who asks for one of the latter.
///
/// A pid can come again, and the later end would be told for the earlier. Yet
/// a shim asks when the process has ended: either it is not collected yet, and
/// its pid not free; or it was just now, and all pids would have to be used up
/// between that and the question.
#[derive(Debug, Default)]
pub struct Reaper {
    launchers: HashSet<i32>,
    ended: HashMap<i32, (ExitStatus, Instant)>,
    wanted: Vec<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    client: u64,
    launcher: i32,
    pid: i32,
}

impl Reaper {
    pub fn add_launcher(&mut self, pid: Pid) {
        self.launchers.insert(pid.as_raw());
    }

    pub fn want(&mut self, client: u64, launcher: i32, pid: i32) {
        self.wanted.push(Wanted {
            client,
            launcher,
            pid,
        });
    }

    /// Nobody is there any more to be told.
    pub fn forget(&mut self, client: u64) {
        self.wanted.retain(|wanted| wanted.client != client);
    }

    /// No launcher is at work.
    pub fn is_idle(&self) -> bool {
        self.launchers.is_empty()
    }

    /// Collects who has ended; returns whether a launcher has.
    pub fn collect(&mut self) -> bool {
        let before = self.launchers.len();
        self.collect_all();
        self.launchers.len() < before
    }

    /// What can be answered by now, and to whom.
    pub fn answers(&mut self) -> Vec<(u64, FromZygote)> {
        let mut answers = Vec::new();
        let (launchers, ended) = (&self.launchers, &mut self.ended);
        self.wanted.retain(|wanted| {
            if launchers.contains(&wanted.launcher) {
                return true;
            }
            let status = ended.remove(&wanted.pid).map(|(status, _)| status);
            let pid = wanted.pid;
            answers.push((wanted.client, FromZygote::Exited { pid, status }));
            false
        });
        self.ended.retain(|_, (_, at)| at.elapsed() < KEEP_FOR);
        answers
    }

    fn collect_all(&mut self) {
        loop {
            let (pid, status) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, ExitStatus::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    (pid, ExitStatus::Signal(signal as i32))
                }
                Err(Errno::EINTR) => continue,
                // None has ended, or there is none.
                _ => return,
            };
            if !self.launchers.remove(&pid.as_raw()) {
                self.ended.insert(pid.as_raw(), (status, Instant::now()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A child that ends with `code` when its standard input does.
    fn child(code: i32) -> (Child, i32) {
        let child = Command::new("sh")
            .args(["-c", &format!("read line; exit {code}")])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        (child, pid)
    }

    fn reap(reaper: &mut Reaper) -> Vec<(u64, FromZygote)> {
        reaper.collect();
        reaper.answers()
    }

    fn answers(reaper: &mut Reaper) -> Vec<(u64, FromZygote)> {
        loop {
            let answers = reap(reaper);
            if !answers.is_empty() {
                return answers;
            }
            std::thread::yield_now();
        }
    }

    /// One test: all children of the test's process are collected at once.
    #[test]
    fn answers_who_asks_when_the_launcher_is_gone() {
        let mut reaper = Reaper::default();
        let (init, init_pid) = child(7);
        let (launcher, launcher_pid) = child(0);
        reaper.add_launcher(Pid::from_raw(launcher_pid));
        drop(init);
        while !reaper.ended.contains_key(&init_pid) {
            assert!(reap(&mut reaper).is_empty(), "nobody has asked");
        }
        reaper.want(1, launcher_pid, init_pid);
        reaper.want(2, launcher_pid, init_pid);
        reaper.forget(2);
        assert!(reap(&mut reaper).is_empty(), "the launcher still runs");
        assert!(!reaper.is_idle());
        drop(launcher);
        let exited = |pid, status| FromZygote::Exited { pid, status };
        let told = answers(&mut reaper);
        assert_eq!(told, [(1, exited(init_pid, Some(ExitStatus::Code(7))))]);
        assert!(reaper.is_idle());
        reaper.want(3, launcher_pid, init_pid);
        assert_eq!(answers(&mut reaper), [(3, exited(init_pid, None))]);
    }
}
