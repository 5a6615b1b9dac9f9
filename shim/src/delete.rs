use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use containerd_shim_protos::api::DeleteResponse;
use containerd_shim_protos::protobuf::{Message, MessageField};
use ipc::Launch;
use oci::Bundle;
use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal, kill_process};

use crate::address::Address;
use crate::args::Args;
use crate::cgroup::Cgroup;
use crate::cgroup_path;
use crate::error::{Context, Result};
use crate::message::timestamp;
use crate::options::RuntimeOptions;
use crate::rootfs;
use crate::tasks::{PID_FILE, forget, launch};
use crate::zygote::Zygote;

/// What is reported of a container that is cleaned up: killed by SIGKILL, which
/// is what is done to it.
const KILLED: u32 = 128 + 9;

// containerd waits five seconds for all of it.

/// How long a launcher without a shim may take to end by itself.
const LAUNCHER_ENDS_WITHIN: Duration = Duration::from_secs(1);
/// How long a launcher that was killed may take to be gone.
const LAUNCHER_GONE_WITHIN: Duration = Duration::from_millis(500);
/// How often to look whether the socket of a server that died is closed.
const SOCKET_ATTEMPTS: u32 = 10;
const SOCKET_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// How long the poststop hooks may take.
const HOOKS_WITHIN: Duration = Duration::from_secs(1);
/// How long the container's processes, which were killed, may take to be gone.
const EMPTY_WITHIN: Duration = Duration::from_secs(1);

/// Cleans up after a server that died: kills what is left of the container and
/// removes its cgroup, mounts and state. Can be repeated. Answers whatever
/// happens, as containerd would keep the bundle without; what could not be
/// done is said on standard error, which goes to containerd's log.
pub fn delete(args: &Args) -> Result<()> {
    let bundle = match &args.bundle {
        Some(bundle) => bundle.clone(),
        None => std::env::current_dir().context("can't find the bundle")?,
    };
    let pid = read_pid(&bundle);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the clean-up")?;
    if let Err(error) = runtime.block_on(clean_up(args, &bundle)) {
        eprintln!("clean-up of {}: {error}", args.id);
    }
    // Not waited for: a launcher that does not end.
    runtime.shutdown_background();
    if let Some(address) = Address::read(&bundle) {
        // A process that is being killed closes one descriptor after the other.
        let mut attempts = 0..SOCKET_ATTEMPTS;
        while !address.remove_unless_served() && attempts.next().is_some() {
            std::thread::sleep(SOCKET_AGAIN_AFTER);
        }
    }
    let response = DeleteResponse {
        pid,
        exit_status: KILLED,
        exited_at: MessageField::some(timestamp(SystemTime::now())),
        ..Default::default()
    };
    std::io::stdout()
        .write_all(&response.write_to_bytes()?)
        .context("can't answer containerd")
}

async fn clean_up(args: &Args, path: &Path) -> Result<()> {
    // The options are not given here; of those that are told to a launcher only
    // the cgroup's driver counts now.
    let launch = launch(args.id.clone(), path, RuntimeOptions::default());
    if !launch.state.exists() {
        // No launcher has begun, or all is cleaned up: what is in a cgroup of
        // that name is another's.
        rootfs::unmount(&rootfs::of(path));
        return Ok(());
    }
    let bundle = Bundle::load(path)?;
    // The form of the path tells the driver.
    let systemd = cgroup_path::is_systemd(bundle.cgroups_path());
    let cgroup = Cgroup::of(bundle.cgroups_path(), &args.id, systemd)?;
    cgroup.signal(Signal::KILL);
    end_launcher(&launch).await;
    // What the launcher has put there meanwhile.
    cgroup.signal(Signal::KILL);
    if bundle.has_poststop_hooks() {
        let hooks = async { Zygote::find()?.fork().await?.delete(launch.clone()).await };
        match tokio::time::timeout(HOOKS_WITHIN, hooks).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("poststop hooks of {}: {error}", args.id),
            Err(_) => eprintln!("poststop hooks of {} are not waited for", args.id),
        }
    }
    forget(&launch, &cgroup, EMPTY_WITHIN).await
}

/// Sees to it that no launcher is at work any more: it finds that its shim is
/// gone, and goes, or is killed. What it made after the clean-up would be left
/// behind.
async fn end_launcher(launch: &Launch) {
    let path = launch.lock_file();
    let Ok(lock) = File::options().write(true).open(&path) else {
        return;
    };
    let mut locked = tokio::task::spawn_blocking(move || {
        rustix::fs::fcntl_lock(&lock, FlockOperation::LockExclusive)
    });
    let in_time = tokio::time::timeout(LAUNCHER_ENDS_WITHIN, &mut locked).await;
    if in_time.is_ok() {
        return;
    }
    // Who holds the lock has written its pid.
    if let Some(launcher) = read_number(&path).and_then(Pid::from_raw) {
        let _ = kill_process(launcher, Signal::KILL);
    }
    let in_time = tokio::time::timeout(LAUNCHER_GONE_WITHIN, locked).await;
    if in_time.is_err() {
        eprintln!("the launcher of {} does not end", launch.id);
    }
}

/// The container's init process, 0 if it was never made.
fn read_pid(bundle: &Path) -> u32 {
    let pid = read_number(&bundle.join(PID_FILE));
    pid.and_then(|pid| pid.try_into().ok()).unwrap_or(0)
}

fn read_number(file: &Path) -> Option<i32> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}
