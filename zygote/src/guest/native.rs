use std::convert::Infallible;
use std::ffi::CString;
use std::path::Path;

use libcontainer::workload::ExecutorError;
use nix::errno::Errno;
use nix::unistd::execve;
use oci::Workload;

use super::signals;
use crate::fork::exit;

/// Becomes the native program at `path`. `home` is taken if the environment has
/// no HOME, as runc does.
pub fn exec(path: &Path, workload: &Workload, home: Option<String>) -> Result<(), ExecutorError> {
    let mut env = workload.env.clone();
    if workload.variable("HOME").is_none()
        && let Some(home) = home
    {
        env.push(format!("HOME={home}"));
    }
    signals::restore_defaults();
    let Err(errno) = replace(path, &workload.args, &env);
    // The start was granted already: what is wrong now is said where the
    // program's own complaints go, with the exit codes of shells.
    eprintln!("can't run {}: {}", path.display(), errno.desc());
    exit(if errno == Errno::ENOENT { 127 } else { 126 })
}

fn replace(path: &Path, args: &[String], env: &[String]) -> Result<Infallible, Errno> {
    let text = |text: &str| CString::new(text).map_err(|_| Errno::EINVAL);
    let path = text(path.to_str().ok_or(Errno::EINVAL)?)?;
    let args: Vec<_> = args.iter().map(|arg| text(arg)).collect::<Result<_, _>>()?;
    let env: Vec<_> = env
        .iter()
        .map(|entry| text(entry))
        .collect::<Result<_, _>>()?;
    execve(&path, &args, &env)
}
