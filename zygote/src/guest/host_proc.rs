use std::cell::RefCell;
use std::fs::File;
use std::io::{Error, ErrorKind, Write};
use std::os::fd::OwnedFd;

use oci::Workload;
use rustix::fs::{Mode, OFlags, open, openat};

/// The host's /proc, to be opened before this process gives up its mounts. What
/// the container has at that path may be anything, or nothing.
///
/// Closed before anything of a module is read: root, whatever its capabilities,
/// could write to the kernel's settings by it.
pub struct HostProc(RefCell<Option<OwnedFd>>);

impl HostProc {
    pub fn open() -> Result<Self, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = open("/proc", flags, Mode::empty())?;
        Ok(Self(RefCell::new(Some(proc))))
    }

    /// Puts this process under its AppArmor profile and its SELinux label now,
    /// and closes the way to them. libcontainer can only set what the next execve
    /// brings, and none comes before a Wasm guest.
    pub fn confine_now(&self, workload: &Workload) -> Result<(), String> {
        if let Some(label) = &workload.selinux_label {
            self.label("current", label)?;
        }
        if let Some(profile) = &workload.apparmor_profile {
            self.profile("current", "changeprofile", profile)?;
        }
        self.0.take();
        Ok(())
    }

    /// Has the next execve put this process under its SELinux label.
    pub fn label_on_exec(&self, workload: &Workload) -> Result<(), String> {
        let label = workload.selinux_label.as_ref();
        label.map_or(Ok(()), |label| self.label("exec", label))
    }

    /// Has the next execve put this process under its AppArmor profile.
    pub fn profile_on_exec(&self, workload: &Workload) -> Result<(), String> {
        let profile = workload.apparmor_profile.as_ref();
        profile.map_or(Ok(()), |profile| self.profile("exec", "exec", profile))
    }

    fn label(&self, attribute: &str, label: &str) -> Result<(), String> {
        self.write(&format!("thread-self/attr/{attribute}"), label)
            .map_err(|error| {
                format!(
                    "the SELinux label {label:?} (process.selinuxLabel) can't be applied: {error}"
                )
            })
    }

    /// Where the kernel takes such a wish, the current place first
    /// (proc_pid_attr(5)).
    fn profile(&self, attribute: &str, verb: &str, profile: &str) -> Result<(), String> {
        let wish = format!("{verb} {profile}");
        self.write(&format!("thread-self/attr/apparmor/{attribute}"), &wish)
            .or_else(|_| self.write(&format!("thread-self/attr/{attribute}"), &wish))
            .map_err(|error| {
                format!(
                    "the AppArmor profile {profile:?} (process.apparmorProfile) \
                     can't be applied: {error}"
                )
            })
    }

    fn write(&self, path: &str, text: &str) -> Result<(), Error> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let proc = self.0.borrow();
        let proc = proc.as_ref().ok_or(ErrorKind::NotConnected)?;
        let file = openat(proc, path, flags, Mode::empty())?;
        // One write: the kernel takes each for a whole request.
        File::from(file).write_all(text.as_bytes())
    }
}
