//! What a container uses, read from its cgroup, as the messages that containerd
//! passes on: one for cgroup v1, another with other units for v2.

pub mod files;
mod v1;
mod v2;

use containerd_shim_protos::protobuf::well_known_types::any::Any;

use crate::cgroup::{Cgroup, Version};
use crate::error::Result;
use crate::message::any;

/// `io.containerd.cgroups.v1.Metrics` or `io.containerd.cgroups.v2.Metrics`.
pub fn read(cgroup: &Cgroup) -> Result<Any> {
    match cgroup.version {
        Version::V1 => any(&v1::read(cgroup)),
        Version::V2 => any(&v2::read(cgroup)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_as_containerd_registers_them() {
        use containerd_shim_protos::{cgroups, cgroups_v2};
        let v1 = any(&cgroups::metrics::Metrics::new()).unwrap();
        assert_eq!(v1.type_url, "io.containerd.cgroups.v1.Metrics");
        let v2 = any(&cgroups_v2::metrics::Metrics::new()).unwrap();
        assert_eq!(v2.type_url, "io.containerd.cgroups.v2.Metrics");
    }
}
