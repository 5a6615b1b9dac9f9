use oci::Bundle;
use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, mkdir, open};

/// Where results go by custom.
const OUTPUTS: &str = "/outputs";

/// The folder for results that a Wasm container gets in its writable layer.
#[derive(Debug)]
pub struct Outputs {
    /// The container's user, by the numbers of this process's user namespace.
    user: Uid,
    group: Gid,
}

impl Outputs {
    /// `None` if the container is to get none: nothing may be written into a
    /// root that is read-only. `pid` is that of the init process, which has
    /// become the container's user.
    pub fn wanted(bundle: &Bundle, pid: i32) -> Option<Self> {
        if !is_writable(bundle) {
            return None;
        }
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some(Self {
            user: Uid::from_raw(effective_id(&status, "Uid:")?),
            group: Gid::from_raw(effective_id(&status, "Gid:")?),
        })
    }

    /// The same for a container without a user namespace, where the numbers in
    /// `config.json` are this process's.
    pub fn of_user(bundle: &Bundle) -> Option<Self> {
        let process = bundle.spec.process().as_ref()?;
        is_writable(bundle).then(|| Self {
            user: Uid::from_raw(process.user().uid()),
            group: Gid::from_raw(process.user().gid()),
        })
    }

    /// Makes `/outputs` in the container's root, which is to be this process's
    /// too. What is there already, be it a mount or the image's, stays as it is.
    ///
    /// A failure is not told: a program that needs no outputs can run all the
    /// same, and one that does is told when it writes.
    pub fn make(&self) {
        let _ = self.try_make();
    }

    fn try_make(&self) -> rustix::io::Result<()> {
        // For root alone until it has its owner. No link is followed, here or
        // below: a root that other containers share may change meanwhile.
        mkdir(OUTPUTS, Mode::RWXU)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = open(OUTPUTS, flags, Mode::empty())?;
        fchown(&folder, Some(self.user), Some(self.group))?;
        fchmod(&folder, Mode::from(0o755))
    }
}

fn is_writable(bundle: &Bundle) -> bool {
    let root = bundle.spec.root().as_ref();
    root.is_some_and(|root| !root.readonly().unwrap_or_default())
}

/// `line`: `Uid:` or `Gid:` of /proc/PID/status (proc(5)), whose second number
/// is the effective one.
fn effective_id(status: &str, line: &str) -> Option<u32> {
    let ids = status.lines().find_map(|text| text.strip_prefix(line))?;
    ids.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_ids_count() {
        let status = "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n";
        assert_eq!(effective_id(status, "Uid:"), Some(2));
        assert_eq!(effective_id(status, "Gid:"), Some(6));
        assert_eq!(effective_id("", "Uid:"), None);
    }
}
