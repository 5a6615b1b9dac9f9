//! The processor, the kernel and its cgroups.

use super::Report;
use crate::host::Host;
use crate::version::Version;

/// The shim starts the zygote through a read-only clone of a mount.
const KERNEL: Version = Version::new(5, 12);

/// What limits and figures of pods need, by their names on cgroup v2.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

pub fn examine(report: &mut Report, host: &Host) {
    let system = rustix::system::uname();
    processor(report, &system.machine().to_string_lossy());
    kernel(report, &system.release().to_string_lossy());
    cgroups(report, host);
}

pub(super) fn processor(report: &mut Report, machine: &str) {
    if machine == "x86_64" {
        report.good("the processor is an x86-64 one");
    } else {
        report.problem(
            format!("the processor is {machine}; the shim is built for x86_64"),
            "keep pods of this runtime away from this node: remove its label containerd-shim-wasm/installed",
        );
    }
}

pub(super) fn kernel(report: &mut Report, release: &str) {
    match Version::parse(release) {
        Some(version) if version < KERNEL => report.problem(
            format!("Linux {release} is too old"),
            format!("install Linux {KERNEL} or later"),
        ),
        _ => report.good(format!("Linux {release}")),
    }
}

fn cgroups(report: &mut Report, host: &Host) {
    let read = |path: &str| host.read(path).ok().flatten();
    if let Some(controllers) = read("/sys/fs/cgroup/cgroup.controllers") {
        let have: Vec<_> = controllers.split_whitespace().collect();
        let missing: Vec<_> = CONTROLLERS
            .into_iter()
            .filter(|name| !have.contains(name))
            .collect();
        if missing.is_empty() {
            return report.good("cgroup v2 with the controllers that pods need");
        }
        return report.problem(
            format!("cgroup v2 has no controller {}", missing.join(", ")),
            "enable it on the kernel's command line (cgroup_enable=memory), and start the node again",
        );
    }
    let missing: Vec<_> = CONTROLLERS
        .into_iter()
        .filter(|name| !host.exists(&format!("/sys/fs/cgroup/{name}")))
        .collect();
    match missing[..] {
        [] => report.good("cgroup v1 with the controllers that pods need"),
        _ => report.problem(
            format!(
                "there is no cgroup v2, and cgroup v1 has no controller {}",
                missing.join(", ")
            ),
            "mount cgroups at /sys/fs/cgroup, as systemd does",
        ),
    }
}
