use std::collections::HashMap;
use std::fs;

use libcgroups::common::{CgroupConfig, CgroupManager, ControllerOpt, create_cgroup_manager};
use oci::spec::{LinuxCpu, LinuxDeviceCgroup, LinuxMemory, LinuxResources};

use super::Plan;
use crate::error::{Error, Result};
use crate::launcher::update::cgroup_path;

/// What every container may do with devices, besides `linux.resources.devices`:
/// make them, and use those that the OCI runtime spec gives to all
/// ("config-linux.md", "Default Devices"), terminals, and tun.
const DEVICES: [&str; 12] = [
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 5:0 rwm",
    "c 1:9 rwm",
    "c 1:8 rwm",
    "c *:* m",
    "b *:* m",
    "c 5:1 rwm",
    "c 136:* rwm",
    "c 5:2 rwm",
    "c 10:200 rwm",
];

/// Sets `linux.resources` in a cgroup of version 1. The usual limits are
/// written here; as soon as there is another, libcgroups writes them all, which
/// takes some milliseconds to find out where.
pub fn set(plan: &Plan<'_>) -> Result<()> {
    let Some(resources) = plan.linux().and_then(|linux| linux.resources().as_ref()) else {
        return Ok(());
    };
    if !is_usual(resources) {
        return set_all(plan, resources);
    }
    for (controller, file, value) in usual(resources) {
        let folder = plan
            .cgroup
            .iter()
            .find(|folder| folder.controllers.iter().any(|name| name == controller));
        let Some(folder) = folder else {
            return Err(Error::Guest(format!(
                "limits of {controller} (linux.resources) can't be set: \
                 this kernel has no such cgroup"
            )));
        };
        let path = folder.path.join(file);
        fs::write(&path, value).map_err(|source| Error::Write { path, source })?;
    }
    Ok(())
}

fn is_usual(resources: &LinuxResources) -> bool {
    let is_usual_memory = |memory: &LinuxMemory| {
        memory.kernel().is_none()
            && memory.kernel_tcp().is_none()
            && memory.swappiness().is_none()
            && memory.disable_oom_killer() != Some(true)
    };
    let is_usual_cpu = |cpu: &LinuxCpu| {
        cpu.realtime_period().is_none()
            && cpu.realtime_runtime().is_none()
            && cpu.idle().is_none()
            && cpu.burst().is_none()
    };
    resources.memory().as_ref().is_none_or(is_usual_memory)
        && resources.cpu().as_ref().is_none_or(is_usual_cpu)
        && resources.block_io().is_none()
        && resources
            .hugepage_limits()
            .as_ref()
            .is_none_or(Vec::is_empty)
        && resources.network().is_none()
        && resources.rdma().is_none()
        && resources.unified().as_ref().is_none_or(HashMap::is_empty)
}

/// Controller, file and value of each limit that is asked for.
fn usual(resources: &LinuxResources) -> Vec<(&'static str, &'static str, String)> {
    let mut limits = Vec::new();
    let mut add = |controller, file, value: Option<String>| {
        limits.extend(value.map(|value| (controller, file, value)));
    };
    for device in resources.devices().iter().flatten() {
        let file = if device.allow() {
            "devices.allow"
        } else {
            "devices.deny"
        };
        add("devices", file, Some(LinuxDeviceCgroup::to_string(device)));
    }
    for device in DEVICES {
        add("devices", "devices.allow", Some(device.to_owned()));
    }
    if let Some(memory) = resources.memory() {
        // Memory and swap together can't be less than memory: that is set first.
        let given = |value: Option<i64>| value.filter(|value| *value != 0).map(|v| v.to_string());
        add("memory", "memory.limit_in_bytes", given(memory.limit()));
        add(
            "memory",
            "memory.memsw.limit_in_bytes",
            given(memory.swap()),
        );
        add(
            "memory",
            "memory.soft_limit_in_bytes",
            given(memory.reservation()),
        );
    }
    if let Some(cpu) = resources.cpu() {
        let text = |value: Option<u64>| value.filter(|value| *value != 0).map(|v| v.to_string());
        add("cpu", "cpu.shares", text(cpu.shares()));
        add("cpu", "cpu.cfs_period_us", text(cpu.period()));
        let quota = cpu.quota().filter(|quota| *quota != 0);
        add(
            "cpu",
            "cpu.cfs_quota_us",
            quota.map(|quota| quota.to_string()),
        );
        add("cpuset", "cpuset.cpus", filled(cpu.cpus()));
        add("cpuset", "cpuset.mems", filled(cpu.mems()));
    }
    if let Some(pids) = resources.pids() {
        let limit = match pids.limit() {
            limit if limit > 0 => limit.to_string(),
            _ => "max".into(),
        };
        add("pids", "pids.max", Some(limit));
    }
    limits
}

fn filled(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

fn set_all(plan: &Plan<'_>, resources: &LinuxResources) -> Result<()> {
    let said = |error: &dyn std::error::Error| {
        Error::Guest(format!("limits (linux.resources) can't be set: {error}"))
    };
    let manager = create_cgroup_manager(CgroupConfig {
        cgroup_path: cgroup_path(plan.bundle, plan.id),
        systemd_cgroup: false,
        container_name: plan.id.to_owned(),
    })
    .map_err(|error| said(&error))?;
    let memory = resources.memory().as_ref();
    let disable_oom_killer = memory.and_then(LinuxMemory::disable_oom_killer);
    manager
        .apply(&ControllerOpt {
            resources,
            disable_oom_killer: disable_oom_killer.unwrap_or_default(),
            oom_score_adj: None,
            freezer_state: None,
        })
        .map_err(|error| said(&error))
}
