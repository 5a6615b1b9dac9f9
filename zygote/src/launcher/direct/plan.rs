use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ipc::{CgroupFolder, Launch};
use oci::Bundle;
use oci::spec::{
    Linux, LinuxNamespace, LinuxNamespaceType, LinuxSeccomp, LinuxSeccompAction, Mount, Process,
    Spec,
};

use super::mounts::{self, Propagation};
use crate::empty_mounts::EmptyMounts;
use crate::launcher::outputs::Outputs;

/// Below these a Wasm container has nothing, whatever `config.json` mounts,
/// masks or protects there.
const VIEWS: [&str; 2] = [PROC, "/sys"];

/// What native code is loaded through, before the program runs. Nothing in it
/// but the container's own processes, and nothing can be written to.
const PROC: &str = "/proc";
const PROC_OPTIONS: [&str; 5] = ["ro", "nosuid", "nodev", "noexec", "subset=pid"];

/// How a container is made directly.
#[derive(Debug)]
pub struct Plan<'a> {
    pub id: &'a str,
    pub bundle: &'a Bundle,
    /// `config.json` without the kernel's views.
    pub spec: Spec,
    pub rootfs: PathBuf,
    pub cgroup: &'a [CgroupFolder],
    pub process: &'a Process,
    pub empty: &'a EmptyMounts,
    /// Of the root.
    pub propagation: Propagation,
    pub outputs: Option<Outputs>,
}

impl<'a> Plan<'a> {
    /// `None` if this container is to be made by libcontainer, as it asks for
    /// something that is not known here.
    pub fn of(
        bundle: &'a Bundle,
        launch: &'a Launch,
        cgroup: &'a [CgroupFolder],
        empty: &'a EmptyMounts,
    ) -> Option<Self> {
        let is_v1 = cgroup.iter().all(|folder| !folder.controllers.is_empty());
        if !launch.direct || launch.systemd_cgroup || launch.no_pivot_root || !is_v1 {
            return None;
        }
        let linux = bundle.spec.linux().as_ref()?;
        Some(Self {
            id: &launch.id,
            spec: without_views(bundle).filter(is_common)?,
            propagation: Propagation::of_root(linux.rootfs_propagation().as_deref())?,
            rootfs: bundle.rootfs().ok()?,
            cgroup,
            process: bundle.spec.process().as_ref()?,
            empty,
            outputs: Outputs::of_user(bundle),
            bundle,
        })
    }

    pub fn linux(&self) -> Option<&Linux> {
        self.spec.linux().as_ref()
    }
}

/// Leaves out what a Wasm guest never gets to see, but for /proc: mounting it
/// would only mean to unmount it again. `None` if that can't be told apart from
/// the rest.
fn without_views(bundle: &Bundle) -> Option<Spec> {
    let mut spec = bundle.spec.clone();
    let mounts = spec.mounts().clone().unwrap_or_default();
    let mounts: Vec<Mount> = mounts
        .into_iter()
        .filter(|mount| !oci::is_host_view(mount) || is_proc(mount))
        .map(|mut mount| {
            if is_proc(&mount) {
                mount.set_options(Some(PROC_OPTIONS.map(String::from).to_vec()));
            }
            if oci::is_bind(&mount) {
                let source = mount.source().clone().unwrap_or_default();
                mount.set_source(Some(bundle.path.join(source)));
            }
            mount
        })
        .collect();
    // What the user has mounted there goes on top of a view, or below it.
    let mut others = mounts.iter().filter(|mount| !is_proc(mount));
    if others.any(|mount| is_in_view(mount.destination())) {
        return None;
    }
    spec.set_mounts(Some(mounts));
    let linux = spec.linux_mut().as_mut()?;
    for paths in [linux.masked_paths(), linux.readonly_paths()] {
        if !paths.iter().flatten().all(is_in_view) {
            return None;
        }
    }
    Some(spec)
}

fn is_proc(mount: &Mount) -> bool {
    oci::is_host_view(mount)
        && mount.typ().as_deref() == Some("proc")
        && mount.destination() == Path::new(PROC)
}

fn is_in_view(path: impl AsRef<Path>) -> bool {
    let path = path.as_ref();
    let is_plain = path.components().all(|part| part.as_os_str() != "..");
    is_plain && VIEWS.iter().any(|view| path.starts_with(view))
}

/// Whether there is nothing in `config.json` that only libcontainer does. Lists
/// what is refused by its absence, so that a field that comes new is too.
fn is_common(spec: &Spec) -> bool {
    let (Some(linux), Some(process)) = (spec.linux().as_ref(), spec.process().as_ref()) else {
        return false;
    };
    spec.hooks().is_none()
        && spec.mounts().iter().flatten().all(mounts::is_common)
        && has_common_namespaces(linux)
        && linux.seccomp().as_ref().is_none_or(is_plain_filter)
        && is_common_linux(linux)
        && is_common_process(process)
}

fn has_common_namespaces(linux: &Linux) -> bool {
    let namespaces = linux.namespaces().as_deref().unwrap_or_default();
    let is_new = |kind| {
        let of_kind = |namespace: &&LinuxNamespace| namespace.typ() == kind;
        let mut found = namespaces.iter().filter(of_kind);
        found
            .next()
            .is_some_and(|namespace| namespace.path().is_none())
            && found.next().is_none()
    };
    let is_absent = |kind| namespaces.iter().all(|namespace| namespace.typ() != kind);
    is_new(LinuxNamespaceType::Mount)
        && is_new(LinuxNamespaceType::Pid)
        && is_absent(LinuxNamespaceType::User)
        && is_absent(LinuxNamespaceType::Time)
}

fn is_plain_filter(filter: &LinuxSeccomp) -> bool {
    let asks = |action| action == LinuxSeccompAction::ScmpActNotify;
    filter.listener_path().is_none()
        && !asks(filter.default_action())
        && !filter
            .syscalls()
            .iter()
            .flatten()
            .any(|rule| asks(rule.action()))
}

fn is_common_linux(linux: &Linux) -> bool {
    linux.uid_mappings().as_ref().is_none_or(Vec::is_empty)
        && linux.gid_mappings().as_ref().is_none_or(Vec::is_empty)
        && linux.sysctl().as_ref().is_none_or(HashMap::is_empty)
        && linux
            .devices()
            .iter()
            .flatten()
            .all(|device| device.path().starts_with("/dev"))
        && linux.net_devices().as_ref().is_none_or(HashMap::is_empty)
        && linux.mount_label().as_ref().is_none_or(String::is_empty)
        && linux.intel_rdt().is_none()
        && linux.personality().is_none()
        && linux.time_offsets().is_none()
        && linux.memory_policy().is_none()
}

fn is_common_process(process: &Process) -> bool {
    process
        .apparmor_profile()
        .as_ref()
        .is_none_or(String::is_empty)
        && process.io_priority().is_none()
        && process.scheduler().is_none()
        && process.exec_cpu_affinity().is_none()
}
