use caps::{CapSet, CapsHashSet, errors::CapsError};
use nix::unistd::geteuid;
use oci::spec::{LinuxCapabilities, Spec};

/// Leaves this process with the capabilities that a program of the bundle has.
pub fn confine(spec: &Spec) -> Result<(), CapsError> {
    let listed = spec.process().as_ref();
    drop_unlisted(listed.and_then(|process| process.capabilities().as_ref()))?;
    as_after_exec()
}

/// A list that is missing in `process.capabilities` is an empty one, as for
/// runc; libcontainer leaves the set as it was, which is that of real root.
fn drop_unlisted(listed: Option<&LinuxCapabilities>) -> Result<(), CapsError> {
    let is_missing = |list: fn(&LinuxCapabilities) -> bool| listed.is_none_or(list);
    // The kernel wants ambient within permitted and inheritable, and effective
    // within permitted; the bounding set needs a capability to be lowered.
    if is_missing(|listed| listed.ambient().is_none()) {
        caps::clear(None, CapSet::Ambient)?;
    }
    if is_missing(|listed| listed.inheritable().is_none()) {
        caps::clear(None, CapSet::Inheritable)?;
    }
    if is_missing(|listed| listed.bounding().is_none()) {
        caps::clear(None, CapSet::Bounding)?;
    }
    if is_missing(|listed| listed.effective().is_none() || listed.permitted().is_none()) {
        caps::clear(None, CapSet::Effective)?;
    }
    if is_missing(|listed| listed.permitted().is_none()) {
        caps::clear(None, CapSet::Permitted)?;
    }
    Ok(())
}

/// Does what `execve` would do for a file without capabilities of its own
/// (capabilities(7), "Transformation of capabilities during execve"). A Wasm
/// guest begins without an execve, and would keep what it has before.
fn as_after_exec() -> Result<(), CapsError> {
    let kept = if geteuid().is_root() {
        &caps::read(None, CapSet::Inheritable)? | &caps::read(None, CapSet::Bounding)?
    } else {
        caps::read(None, CapSet::Ambient)?
    };
    let permitted = &caps::read(None, CapSet::Permitted)? & &kept;
    let effective: CapsHashSet = if geteuid().is_root() {
        permitted.clone()
    } else {
        kept
    };
    caps::set(None, CapSet::Effective, &effective)?;
    caps::set(None, CapSet::Permitted, &permitted)
}
