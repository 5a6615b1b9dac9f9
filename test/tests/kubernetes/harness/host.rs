//! What the machine is to the node: a device with an address, and folders that
//! the node's programs write to by names of their own.

use std::ffi::CStr;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};

/// The node's address, in the suite's own network.
pub const ADDRESS: &str = "10.213.79.1";

/// Folders outside of `/run` that kubelet or the examples' Jobs take as given:
/// logs of containers, what Jobs mount from the node, and where the installer puts
/// programs.
const FOLDERS: [&CStr; 4] = [c"/var/log", c"/srv", c"/opt", c"/usr/local/bin"];

/// What kubelet wants these to be, and would set on the whole machine.
const KERNEL_SETTINGS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Makes the suite's namespaces a node. Call it once, inside the sandbox.
pub fn prepare() -> io::Result<()> {
    // As systemd has it: what the node mounts is seen by pods that ask for it.
    let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    mount_change("/", shared)?;
    for folder in FOLDERS {
        mount("tmpfs", folder, "tmpfs", MountFlags::NOSUID, c"mode=755")?;
    }
    for (name, value) in KERNEL_SETTINGS {
        let seen = Path::new("/run/sysctl").join(name);
        fs::create_dir_all(seen.parent().expect("a folder"))?;
        fs::write(&seen, format!("{value}\n"))?;
        mount_bind(&seen, Path::new("/proc/sys").join(name))?;
    }
    // What programs take the node's address from is the way out of it.
    let address = format!("{ADDRESS}/24");
    for line in [
        "link add node0 type bridge",
        &format!("address add {address} dev node0"),
        "link set node0 up",
        "route add default dev node0",
    ] {
        let status = Command::new("ip").args(line.split(' ')).status()?;
        if !status.success() {
            return Err(io::Error::other(format!("`ip {line}`: {status}")));
        }
    }
    Ok(())
}
