use libcontainer::seccomp::initialize_seccomp;
use oci::spec::LinuxSeccomp;

/// Puts this process under the container's filter. libcontainer does so for the
/// first process of a container, and not for those that are added.
pub fn apply(filter: &LinuxSeccomp) -> Result<(), String> {
    let what = "the container's seccomp filter can't be applied";
    // Privileges that a filter would need instead are gone by now.
    rustix::thread::set_no_new_privs(true).map_err(|error| format!("{what}: {error}"))?;
    match initialize_seccomp(filter) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(format!(
            "{what} to an added process: it asks a listener (SCMP_ACT_NOTIFY)"
        )),
        Err(error) => Err(format!("{what}: {error}")),
    }
}
