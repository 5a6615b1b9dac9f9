//! What a bundle asks of AppArmor and SELinux is applied by the guest's side and
//! by libcontainer. Where the kernel has no such module, a container that is to
//! be confined by it must not run without.

use std::path::Path;

use oci::spec::Linux;
use oci::{Bundle, Workload};

use crate::error::{Error, Result};

pub fn check(bundle: &Bundle, workload: &Workload) -> Result<()> {
    if let Some(profile) = &workload.apparmor_profile
        && !has_apparmor()
    {
        return Err(Error::Guest(format!(
            "the AppArmor profile {profile:?} (process.apparmorProfile) can't be applied: \
             this kernel has no AppArmor, or it is off"
        )));
    }
    let linux = bundle.spec.linux().as_ref();
    let labels = [
        ("process.selinuxLabel", workload.selinux_label.as_ref()),
        (
            "linux.mountLabel",
            linux.and_then(|linux: &Linux| linux.mount_label().as_ref()),
        ),
    ];
    let mut labels = labels
        .into_iter()
        .filter_map(|(field, label)| Some((field, label?)))
        .filter(|(_, label)| !label.is_empty());
    match labels.next() {
        Some((field, label)) if !has_selinux() => Err(Error::Guest(format!(
            "the SELinux label {label:?} ({field}) can't be applied: \
             this kernel has no SELinux, or it is off; set enable_selinux = false in \
             containerd's configuration, or run without a label"
        ))),
        _ => Ok(()),
    }
}

fn has_apparmor() -> bool {
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    enabled.is_ok_and(|text| text.starts_with('Y'))
}

/// Its file system is where libselinux, runc and libcontainer look for it.
fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}
