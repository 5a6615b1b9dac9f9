use libcontainer::syscall::Syscall;
use libcontainer::syscall::syscall::create_syscall;
use libcontainer::{capabilities, seccomp};
use nix::unistd::{Gid, Uid, getcwd, setgroups};
use oci::spec::{LinuxSeccomp, Process};

use super::{Plan, Step, said};

/// Limits the calling process, and gives up root's identity and rights. A filter
/// needs either the right to set one, or the promise that no right can be gained
/// any more.
pub fn confine(plan: &Plan<'_>) -> Step {
    let (process, syscall) = (plan.process, create_syscall());
    for limit in process.rlimits().iter().flatten() {
        let set = syscall.set_rlimit(limit);
        set.map_err(|error| said("process.rlimits", &error))?;
    }
    let user = process.user();
    let groups: Vec<Gid> = user
        .additional_gids()
        .iter()
        .flatten()
        .map(|gid| Gid::from_raw(*gid))
        .collect();
    setgroups(&groups).map_err(|error| said("process.user.additionalGids", &error))?;
    syscall
        .set_id(Uid::from_raw(user.uid()), Gid::from_raw(user.gid()))
        .map_err(|error| said("process.user", &error))?;
    let gains_nothing = process.no_new_privileges() == Some(true);
    if gains_nothing {
        rustix::thread::set_no_new_privs(true)
            .map_err(|error| said("process.noNewPrivileges", &error))?;
    }
    let filter = plan.linux().and_then(|linux| linux.seccomp().as_ref());
    if !gains_nothing {
        filter.map_or(Ok(()), apply)?;
    }
    drop_capabilities(process, syscall.as_ref())?;
    // Must be inside of the container (CVE-2024-21626).
    getcwd().map_err(|error| said("process.cwd", &error))?;
    if gains_nothing {
        filter.map_or(Ok(()), apply)?;
    }
    Ok(())
}

fn drop_capabilities(process: &Process, syscall: &dyn Syscall) -> Step {
    let what = "process.capabilities";
    capabilities::reset_effective(syscall).map_err(|error| said(what, &error))?;
    match process.capabilities() {
        // What is not listed at all goes with what execve would take.
        None => Ok(()),
        Some(listed) => {
            capabilities::drop_privileges(listed, syscall).map_err(|error| said(what, &error))
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
