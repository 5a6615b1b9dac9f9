use std::path::Path;

use oci_spec::runtime::{Mount, Spec};

/// The kernel's views that container tools mount by default: destination and type.
///
/// A Wasm guest has no use for them (WASI has no /proc) and much harm: through
/// the preopen of the root a guest that could open /proc/self/mem would write
/// its own runtime's memory.
const HOST_VIEWS: [(&str, &str); 7] = [
    ("/proc", "proc"),
    ("/sys", "sysfs"),
    ("/sys/fs/cgroup", "cgroup"),
    ("/sys/fs/cgroup", "cgroup2"),
    ("/dev/pts", "devpts"),
    ("/dev/mqueue", "mqueue"),
    ("/dev/shm", "tmpfs"),
];

/// Where such views are mounted in a container, for a Wasm guest to be spared
/// them. What the user mounted on purpose is not among them, nor is /dev, the
/// folder of the standard devices (OCI runtime spec, "default devices").
pub fn host_views(spec: &Spec) -> Vec<&Path> {
    spec.mounts()
        .iter()
        .flatten()
        .filter(|mount| is_host_view(mount))
        .map(|mount| mount.destination().as_path())
        .collect()
}

fn is_host_view(mount: &Mount) -> bool {
    let Some(kind) = mount.typ() else {
        return false;
    };
    HOST_VIEWS
        .iter()
        .any(|(path, view)| mount.destination() == Path::new(path) && kind == view)
}

/// Whether a mount shows files of the host or of a volume: a bind mount.
pub(crate) fn is_bind(mount: &Mount) -> bool {
    mount.typ().as_deref() == Some("bind")
        || mount
            .options()
            .iter()
            .flatten()
            .any(|option| option == "bind" || option == "rbind")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_views_are_told_from_what_the_user_mounted() {
        let spec: Spec = serde_json::from_str(
            r#"{"ociVersion":"1.0.0","mounts":[
                {"destination":"/proc","type":"proc","source":"proc"},
                {"destination":"/dev","type":"tmpfs","source":"tmpfs"},
                {"destination":"/dev/pts","type":"devpts","source":"devpts"},
                {"destination":"/dev/shm","type":"bind","source":"/shm","options":["rbind"]},
                {"destination":"/sys","type":"sysfs","source":"sysfs"},
                {"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup"},
                {"destination":"/run","type":"tmpfs","source":"tmpfs"},
                {"destination":"/inputs","source":"/data","options":["rbind","ro"]}]}"#,
        )
        .unwrap();
        let views: Vec<_> = host_views(&spec)
            .iter()
            .map(|path| path.to_str().unwrap())
            .collect();
        assert_eq!(views, ["/proc", "/dev/pts", "/sys", "/sys/fs/cgroup"]);
    }
}
