//! OCI bundles and runtime specs, for what `ctr run` has no flags for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::guest_image::{GUEST, NATIVE};
use crate::paths;

/// A root file system with the guest and the native program, in `folder`.
pub fn root_fs(folder: &Path) -> PathBuf {
    let root = folder.join("rootfs");
    for name in ["bin", "data", "dev", "etc", "proc", "run", "sys", "tmp"] {
        fs::create_dir_all(root.join(name)).expect("a folder of the root file system");
    }
    let guest = if paths::runs_wasm() {
        "guest.wasm"
    } else {
        "guest.native"
    };
    for (from, to) in [(guest, GUEST), ("native", NATIVE)] {
        let to = root.join(&to[1..]);
        fs::copy(paths::guest(from), &to).expect("a program of the root file system");
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    root
}

/// A plain runtime spec: root's, all namespaces new, /proc and a few devices.
pub fn spec(root: &Path, args: &[&str], cgroup: &str) -> Value {
    json!({
        "ociVersion": "1.0.2",
        "root": {"path": root},
        "hostname": "host-of-the-test",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": args,
            "env": ["PATH=/bin", "FROM_SPEC=yes"],
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": {
                "bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"],
            },
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [
                {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "network"},
            ],
            "resources": {},
        },
    })
}

/// Writes a bundle's `config.json` and returns its path.
pub fn write(folder: &Path, spec: &Value) -> PathBuf {
    let file = folder.join("config.json");
    fs::write(&file, spec.to_string()).expect("config.json");
    file
}
