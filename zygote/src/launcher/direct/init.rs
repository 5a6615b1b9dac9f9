//! The container's init process, from its fork to its program. The steps and
//! their order are those of the OCI runtime spec ("runtime.md", "Lifecycle")
//! and of libcontainer, whose parts are used.

use std::error::Error;
use std::os::fd::{AsRawFd, OwnedFd};

use libcontainer::namespaces::Namespaces;
use libcontainer::rootfs::RootFS;
use libcontainer::syscall::Syscall;
use libcontainer::syscall::syscall::create_syscall;
use libcontainer::workload::Executor;
use libcontainer::{capabilities, seccomp};
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use nix::sys::stat::{Mode, fstat, umask};
use nix::sys::statfs::statfs;
use nix::unistd::{Gid, Uid, chdir, dup2, getcwd, read, setgroups, setsid};
use oci::spec::{LinuxNamespaceType, LinuxSeccomp, Root};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::{Plan, cgroup};
use crate::error::chain;
use crate::fds;
use crate::guest::Guest;
use crate::trace;

/// The exit code of a process whose program never ran.
const NOT_RUN: i32 = 255;

type Step = Result<(), String>;

/// Sets up what confines the process, waits for a byte at `start`, and runs the
/// program.
pub fn run(
    plan: &Plan<'_>,
    places: &cgroup::Places,
    stdio: &[OwnedFd; 3],
    start: &OwnedFd,
    guest: &Guest,
) -> i32 {
    if let Err(reason) = Init::new(plan).set_up(places, stdio) {
        guest.report_unready(reason);
        return NOT_RUN;
    }
    // Says itself what is wrong with a program.
    if guest.validate(&plan.spec).is_err() {
        return NOT_RUN;
    }
    let mut byte = [0];
    if read(start.as_raw_fd(), &mut byte) != Ok(1) {
        return NOT_RUN;
    }
    // Does not return.
    let _ = guest.exec(&plan.spec);
    NOT_RUN
}

struct Init<'a> {
    plan: &'a Plan<'a>,
    syscall: Box<dyn Syscall>,
}

impl<'a> Init<'a> {
    fn new(plan: &'a Plan<'a>) -> Self {
        let syscall = create_syscall();
        Self { plan, syscall }
    }

    fn set_up(&self, places: &cgroup::Places, stdio: &[OwnedFd; 3]) -> Step {
        let _ = rustix::thread::set_name(c"wasm-init");
        cgroup::join(places).map_err(|error| error.to_string())?;
        // A module that breaks out of the loader is to find nothing to write to.
        for place in places {
            fds::close(place.as_raw_fd());
        }
        trace::done("init: cgroup joined");
        setsid().map_err(|error| said("a session", &error))?;
        for (fd, standard) in stdio.iter().zip(0..) {
            dup2(fd.as_raw_fd(), standard).map_err(|error| said("standard streams", &error))?;
        }
        self.set_oom_score()?;
        self.enter_namespaces()?;
        trace::done("namespaces");
        self.enter_root()?;
        self.set_limits()?;
        self.become_user()?;
        trace::done("confined");
        Ok(())
    }

    fn set_oom_score(&self) -> Step {
        let what = "process.oomScoreAdj";
        if let Some(score) = self.plan.process.oom_score_adj() {
            let file = "/proc/self/oom_score_adj";
            std::fs::write(file, score.to_string()).map_err(|error| said(what, &error))?;
        }
        // What it holds of the host is nobody's in the namespaces it enters.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(|error| said("the process", &error))
    }

    fn enter_namespaces(&self) -> Step {
        let what = "linux.namespaces";
        let linux = self.plan.linux();
        let namespaces = linux.and_then(|linux| linux.namespaces().as_ref());
        let namespaces = Namespaces::try_from(namespaces).map_err(|error| said(what, &error))?;
        namespaces
            // It is the first of its pid namespace already.
            .apply_namespaces(|kind| kind != CloneFlags::CLONE_NEWPID)
            .map_err(|error| said(what, &error))?;
        let uts = namespaces.get(LinuxNamespaceType::Uts);
        if !matches!(uts, Ok(Some(namespace)) if namespace.path().is_none()) {
            return Ok(());
        }
        if let Some(name) = self.plan.spec.hostname() {
            let set = self.syscall.set_hostname(name);
            set.map_err(|error| said("hostname", &error))?;
        }
        if let Some(name) = self.plan.spec.domainname() {
            let set = self.syscall.set_domainname(name);
            set.map_err(|error| said("domainname", &error))?;
        }
        Ok(())
    }

    fn enter_root(&self) -> Step {
        let Plan { spec, rootfs, .. } = self.plan;
        let linux = self.plan.linux();
        let namespaces = linux.and_then(|linux| linux.namespaces().as_ref());
        let has_cgroups = namespaces
            .into_iter()
            .flatten()
            .any(|namespace| namespace.typ() == LinuxNamespaceType::Cgroup);
        RootFS::new()
            .prepare_rootfs(spec, rootfs, false, has_cgroups)
            .map_err(|error| said("mounts", &error))?;
        trace::done("mounts");
        self.syscall
            .pivot_rootfs(rootfs)
            .map_err(|error| said("root", &error))?;
        trace::done("root");
        reopen_null()?;
        if let Some(mask) = self.plan.process.user().umask() {
            umask(Mode::from_bits_truncate(mask));
        }
        if let Some(outputs) = &self.plan.outputs {
            outputs.make();
        }
        let is_read_only = spec.root().as_ref().and_then(Root::readonly);
        if is_read_only == Some(true) {
            protect_root().map_err(|error| said("root.readonly", &error))?;
        }
        let cwd = self.plan.process.cwd();
        chdir(cwd).map_err(|error| {
            let what = format!("the working directory {} (process.cwd)", cwd.display());
            said(&what, &error)
        })
    }

    fn set_limits(&self) -> Step {
        for limit in self.plan.process.rlimits().iter().flatten() {
            let set = self.syscall.set_rlimit(limit);
            set.map_err(|error| said("process.rlimits", &error))?;
        }
        Ok(())
    }

    /// Gives up root's identity and rights. A filter needs either the right to
    /// set one, or the promise that no right can be gained any more.
    fn become_user(&self) -> Step {
        let process = self.plan.process;
        let user = process.user();
        let groups: Vec<Gid> = user
            .additional_gids()
            .iter()
            .flatten()
            .map(|gid| Gid::from_raw(*gid))
            .collect();
        setgroups(&groups).map_err(|error| said("process.user.additionalGids", &error))?;
        self.syscall
            .set_id(Uid::from_raw(user.uid()), Gid::from_raw(user.gid()))
            .map_err(|error| said("process.user", &error))?;
        let gains_nothing = process.no_new_privileges() == Some(true);
        if gains_nothing {
            rustix::thread::set_no_new_privs(true)
                .map_err(|error| said("process.noNewPrivileges", &error))?;
        }
        let filter = self.plan.linux().and_then(|linux| linux.seccomp().as_ref());
        if !gains_nothing {
            filter.map_or(Ok(()), apply)?;
        }
        self.drop_capabilities()?;
        // Must be inside of the container (CVE-2024-21626).
        getcwd().map_err(|error| said("process.cwd", &error))?;
        if gains_nothing {
            filter.map_or(Ok(()), apply)?;
        }
        Ok(())
    }

    fn drop_capabilities(&self) -> Step {
        let what = "process.capabilities";
        let syscall = self.syscall.as_ref();
        capabilities::reset_effective(syscall).map_err(|error| said(what, &error))?;
        match self.plan.process.capabilities() {
            // What is not listed at all goes with what execve would take.
            None => Ok(()),
            Some(listed) => {
                capabilities::drop_privileges(listed, syscall).map_err(|error| said(what, &error))
            }
        }
    }
}

fn apply(filter: &LinuxSeccomp) -> Step {
    match seccomp::initialize_seccomp(filter) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err("linux.seccomp: a listener is not known here".into()),
        Err(error) => Err(said("linux.seccomp", &error)),
    }
}

/// Streams that are the host's /dev/null become the container's.
fn reopen_null() -> Step {
    let what = "/dev/null in the container";
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|error| said(what, &error))?;
    let device = |fd| fstat(fd).map(|stat| stat.st_rdev);
    let own = device(null).map_err(|error| said(what, &error))?;
    if own != libc::makedev(1, 3) {
        return Err(format!("{what}: it is another device"));
    }
    for standard in 0..=2 {
        if device(standard) == Ok(own) {
            dup2(null, standard).map_err(|error| said(what, &error))?;
        }
    }
    nix::unistd::close(null).map_err(|error| said(what, &error))
}

fn protect_root() -> nix::Result<()> {
    let flags = statfs("/")?.flags().bits();
    let flags = MsFlags::from_bits_truncate(flags)
        | MsFlags::MS_RDONLY
        | MsFlags::MS_REMOUNT
        | MsFlags::MS_BIND;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
}

fn said(what: &str, error: &dyn Error) -> String {
    format!("{what}: {}", chain(error))
}
