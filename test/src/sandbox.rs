//! Runs the calling program in namespaces of its own.
//!
//! The program gets a private pid namespace, mount namespace and `/run`. So
//! whatever way it ends, the kernel takes down every process and mount that
//! the test made, what others do on the machine at the same time stays out of
//! sight, and a search for leaks can be exact. Cgroups alone are the machine's:
//! they are named after [`id`], and the namespace's init removes them.

use std::ffi::CString;
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::{env, fs, io};

use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};

use crate::{cgroup, processes};

const STAGE: &str = "SHIM_TEST_STAGE";
const ID: &str = "SHIM_TEST_ID";
/// Where the sandbox's changes to the machine's folders go.
const LAYERS: &str = "/mnt";

/// The network that the program finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The machine's.
    Host,
    /// A loopback device and nothing else, to make bridges and rules in.
    Own,
}

/// Returns only in the sandbox; outside, it becomes the sandbox. Call it first
/// in `main`, while there is one thread and no argument has been acted on.
pub fn enter(network: Network) {
    match env::var(STAGE).as_deref() {
        Ok("inside") => {
            prepare(network).unwrap_or_else(|error| die("prepare the namespaces", &error));
        }
        Ok("init") => exit(init().unwrap_or_else(|error| die("run init", &error))),
        _ => die("start `unshare` (it needs root)", &unshare(network)),
    }
}

/// A short name that no other test run on this machine has at this time.
pub fn id() -> String {
    env::var(ID).unwrap_or_else(|_| format!("st{}", std::process::id()))
}

fn die(what: &str, error: &io::Error) -> ! {
    eprintln!("sandbox: can't {what}: {error}");
    exit(1)
}

/// Becomes `unshare`, from util-linux, which is on every Debian.
fn unshare(network: Network) -> io::Error {
    cgroup::remove_stale();
    let network = (network == Network::Own).then_some("--net");
    Command::new("unshare")
        .args(network)
        .args([
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .arg(env::current_exe().unwrap_or_default())
        .args(env::args_os().skip(1))
        .env(STAGE, "init")
        .env(ID, id())
        .exec()
}

/// Pid 1 of the namespace: runs the program proper, and buries the orphans.
fn init() -> io::Result<i32> {
    // What follows kills every process it sees: that must be the namespace's.
    if std::process::id() != 1 {
        return Err(io::Error::other("not in a pid namespace of its own"));
    }
    let child = Command::new(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(STAGE, "inside")
        .spawn()?;
    let child = Pid::from_child(&child);
    let status = loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == child => break status,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    bury_all();
    cgroup::remove_all(&id());
    Ok(status
        .exit_status()
        .unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or(0)))
}

/// Kills all other processes of the namespace and waits for them, so that
/// their cgroups are free to go.
fn bury_all() {
    loop {
        for process in processes::all()
            .into_iter()
            .filter(|process| process.pid != 1)
        {
            let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
            // It may be gone already: that is what is wanted.
            let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
        }
        match wait(WaitOptions::empty()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Gives the program a `/run` of its own, where all state of a test goes, and
/// the folders of the machine as they are, but without a way to change them.
fn prepare(network: Network) -> io::Result<()> {
    mount("tmpfs", "/run", "tmpfs", MountFlags::NOSUID, c"mode=755")?;
    fs::create_dir("/run/lock")?;
    mount("tmpfs", LAYERS, "tmpfs", MountFlags::NOSUID, c"mode=755")?;
    for folder in ["/etc", "/var/lib"] {
        let layer = format!("{LAYERS}{folder}");
        for part in ["upper", "work"] {
            fs::create_dir_all(format!("{layer}/{part}"))?;
        }
        let options = format!("lowerdir={folder},upperdir={layer}/upper,workdir={layer}/work");
        let options = CString::new(options)?;
        mount(
            "overlay",
            folder,
            "overlay",
            MountFlags::NOSUID,
            options.as_c_str(),
        )?;
    }
    configure()?;
    if network == Network::Host {
        return Ok(());
    }
    let mut command = Command::new("ip");
    command.args(["link", "set", "lo", "up"]);
    let status = command.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("`ip link set lo up`: {status}")))
    }
}

/// Compilers in the background would only disturb: tests of them ask for them.
fn configure() -> io::Result<()> {
    fs::create_dir_all("/etc/containerd-shim-wasm")?;
    let direct = makes_directly();
    let trace = env::var("TEST_TRACE").unwrap_or_else(|_| "false".into());
    let settings = format!("aot = \"off\"\ndirect = {direct}\ntrace = {trace}\n");
    fs::write("/etc/containerd-shim-wasm/config.toml", settings)
}

/// Whether the common containers of modules are made without libcontainer's
/// processes, as `TEST_DIRECT=false` turns off.
pub fn makes_directly() -> bool {
    env::var("TEST_DIRECT").map_or(true, |direct| direct != "false")
}
