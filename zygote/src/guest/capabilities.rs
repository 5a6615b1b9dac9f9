use caps::{CapSet, errors::CapsError};
use nix::unistd::geteuid;

/// Does to this process's capabilities what `execve` would do for a file
/// without capabilities of its own (capabilities(7), "Transformation of
/// capabilities during execve"). A Wasm guest begins without an execve, and
/// without this a guest that is not root would keep root's powers.
pub fn as_after_exec() -> Result<(), CapsError> {
    if geteuid().is_root() {
        // Root's permitted set becomes what is inheritable or in the bounding
        // set, which is what libcontainer has set it to.
        return Ok(());
    }
    let ambient = caps::read(None, CapSet::Ambient)?;
    caps::set(None, CapSet::Effective, &ambient)?;
    caps::set(None, CapSet::Permitted, &ambient)
}
