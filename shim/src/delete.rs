use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use containerd_shim_protos::api::DeleteResponse;
use containerd_shim_protos::protobuf::{Message, MessageField};
use ipc::Launch;
use oci::Bundle;
use rustix::fs::FlockOperation;
use rustix::process::Signal;

use crate::address::Address;
use crate::args::Args;
use crate::cgroup::Cgroup;
use crate::error::{Context, Result};
use crate::message::timestamp;
use crate::options::RuntimeOptions;
use crate::tasks::{PID_FILE, forget, launch};
use crate::zygote::Zygote;

/// What is reported of a container that is cleaned up: killed by SIGKILL, which
/// is what is done to it.
const KILLED: u32 = 128 + 9;

/// How long a launcher without a shim may take to end.
const LAUNCHER_GONE_WITHIN: Duration = Duration::from_secs(10);

/// Cleans up after a server that died: kills what is left of the container and
/// removes its cgroup, mounts and state. Can be repeated.
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
    runtime.block_on(clean_up(args, &bundle))?;
    // Not waited for: a launcher that does not end.
    runtime.shutdown_background();
    if let Some(address) = Address::read(&bundle)
        && !address.is_served()
    {
        address.remove();
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
    let rootfs = path.join("rootfs");
    let Ok(bundle) = Bundle::load(path) else {
        // No config.json, so no container was made of it.
        crate::rootfs::unmount(&rootfs);
        return Ok(());
    };
    // The options are not given here; the form of the path tells the driver.
    let options = RuntimeOptions {
        systemd_cgroup: is_systemd_path(bundle.cgroups_path()),
        ..RuntimeOptions::default()
    };
    let cgroup = Cgroup::of(bundle.cgroups_path(), &args.id, options.systemd_cgroup)?;
    let launch = launch(args.id.clone(), path, options);
    await_launcher(&launch).await;
    cgroup.signal(Signal::KILL);
    if bundle.has_poststop_hooks() && launch.state.exists() {
        let hooks = async { Zygote::find()?.fork().await?.delete(launch.clone()).await };
        if let Err(error) = hooks.await {
            eprintln!("poststop hooks of {}: {error}", args.id);
        }
    }
    forget(&launch, &cgroup, &rootfs).await
}

/// Waits for a launcher that is still at work: it finds that its shim is gone,
/// and goes. What it makes after the clean-up would be left behind.
async fn await_launcher(launch: &Launch) {
    let Ok(lock) = File::options().write(true).open(launch.lock_file()) else {
        return;
    };
    let locked = tokio::task::spawn_blocking(move || {
        rustix::fs::fcntl_lock(&lock, FlockOperation::LockExclusive)
    });
    if tokio::time::timeout(LAUNCHER_GONE_WITHIN, locked)
        .await
        .is_err()
    {
        eprintln!("the launcher of {} does not end", launch.id);
    }
}

fn is_systemd_path(path: Option<&Path>) -> bool {
    path.and_then(Path::to_str)
        .is_some_and(|path| !path.starts_with('/') && path.split(':').count() == 3)
}

/// The container's init process, 0 if it was never made.
fn read_pid(bundle: &Path) -> u32 {
    let file: PathBuf = bundle.join(PID_FILE);
    std::fs::read_to_string(file)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}
