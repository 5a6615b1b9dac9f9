use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use ipc::Launch;
use libcgroups::common::{
    CgroupConfig, CgroupManager, CgroupSetup, ControllerOpt, create_cgroup_manager,
    get_cgroup_setup,
};
use oci::Bundle;
use oci::spec::{LinuxMemory, LinuxResources};

use crate::error::{Context, Error, Result};

/// Sets the limits of a running container: those that `file` names
/// (`linux.resources` of the OCI runtime spec); others stay.
pub fn update(launch: &Launch, file: &Path) -> Result<()> {
    let bundle = Bundle::load(&launch.bundle)?;
    let opened = File::open(file).context("can't open the new limits")?;
    let mut resources: LinuxResources = serde_json::from_reader(BufReader::new(opened))
        .map_err(|error| refused(format!("the new limits can't be understood: {error}")))?;
    keep_devices(&mut resources, &bundle);
    let manager = create_cgroup_manager(CgroupConfig {
        cgroup_path: cgroup_path(&bundle, &launch.id),
        systemd_cgroup: launch.systemd_cgroup,
        container_name: launch.id.clone(),
    })
    .map_err(|error| refused(error.to_string()))?;
    let disable_oom_killer = resources
        .memory()
        .as_ref()
        .and_then(LinuxMemory::disable_oom_killer);
    manager
        .apply(&ControllerOpt {
            resources: &resources,
            disable_oom_killer: disable_oom_killer.unwrap_or_default(),
            oom_score_adj: None,
            freezer_state: None,
        })
        .map_err(|error| refused(format!("the new limits can't be set: {error}")))
}

/// libcgroups writes the rules for devices with all else. On v1 those that are
/// always allowed are allowed again; on v2 all are made anew, so that the
/// container's own have to be among them.
fn keep_devices(resources: &mut LinuxResources, bundle: &Bundle) {
    let own = bundle
        .spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.resources().as_ref())
        .and_then(|resources| resources.devices().clone());
    let is_v2 = matches!(get_cgroup_setup(), Ok(CgroupSetup::Unified));
    resources.set_devices(own.filter(|_| is_v2));
}

/// As libcontainer has it.
pub fn cgroup_path(bundle: &Bundle, id: &str) -> PathBuf {
    libcontainer::utils::get_cgroup_path(&bundle.cgroups_path().map(Path::to_owned), id)
}

fn refused(sentence: String) -> Error {
    Error::Guest(sentence)
}
