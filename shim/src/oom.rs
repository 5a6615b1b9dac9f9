use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use crate::cgroup::{Cgroup, Version};
use crate::metrics::files::table;
use crate::watched::{Watched, watch};

/// How long the kernel may take to count what it has told of (cgroup v1 tells
/// when it begins to look for a process to end).
const COUNTED_WITHIN: Duration = Duration::from_millis(100);

/// Tells of processes that the kernel ended because their container had no
/// memory left.
#[derive(Debug)]
pub struct OomWatch {
    cgroup: Cgroup,
    /// `None` where the kernel can't tell at once; it is counted at the end.
    changes: Option<Watched<OwnedFd>>,
    told: u64,
}

impl OomWatch {
    pub fn new(cgroup: Cgroup) -> Self {
        let changes = changes(&cgroup).and_then(|fd| watch(fd).ok());
        let told = count(&cgroup);
        Self {
            cgroup,
            changes,
            told,
        }
    }

    /// Waits until there may be something new.
    pub async fn changed(&self) {
        let Some(changes) = &self.changes else {
            return std::future::pending().await;
        };
        match changes.readable().await {
            Ok(mut ready) => {
                let mut buffer = [0; 1024];
                while rustix::io::read(changes.get_ref(), &mut buffer).is_ok_and(|count| count > 0)
                {
                }
                ready.clear_ready();
                self.counted().await;
            }
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until what has changed is counted, or it was nothing.
    async fn counted(&self) {
        for _ in 0..COUNTED_WITHIN.as_millis() {
            if count(&self.cgroup) > self.told {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whether processes were ended since the last time this was asked.
    pub fn is_new(&mut self) -> bool {
        let count = count(&self.cgroup);
        let is_new = count > self.told;
        self.told = self.told.max(count);
        is_new
    }
}

/// How many processes the kernel has ended for want of memory.
fn count(cgroup: &Cgroup) -> u64 {
    let file = match cgroup.version {
        Version::V1 => "memory.oom_control",
        Version::V2 => "memory.events",
    };
    let table = table(cgroup.controller("memory"), file);
    table.get("oom_kill").copied().unwrap_or(0)
}

/// What becomes readable when the kernel is about to count (cgroup v1: an
/// eventfd, v2: a watch of the file).
fn changes(cgroup: &Cgroup) -> Option<OwnedFd> {
    let folder = cgroup.controller("memory")?;
    if cgroup.version == Version::V2 {
        let watcher = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        inotify::add_watch(&watcher, folder.join("memory.events"), WatchFlags::MODIFY).ok()?;
        return Some(watcher);
    }
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?;
    let control = std::fs::File::open(folder.join("memory.oom_control")).ok()?;
    let mut register = std::fs::File::options()
        .write(true)
        .open(folder.join("cgroup.event_control"))
        .ok()?;
    let request = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
    register.write_all(request.as_bytes()).ok()?;
    Some(event)
}
