use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::oci::Options;

use crate::error::Result;

/// How a container is to be made, from the runtime options in containerd's
/// configuration: the fields of runc's shim (containerd.runc.v1.Options) that
/// make sense for any runtime; others are ignored, as is another type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuntimeOptions {
    pub systemd_cgroup: bool,
    pub no_pivot_root: bool,
    pub no_new_keyring: bool,
}

impl RuntimeOptions {
    pub fn parse(any: Option<&Any>) -> Result<Self> {
        let Some(any) = any.filter(|any| any.type_url.ends_with("containerd.runc.v1.Options"))
        else {
            return Ok(Self::default());
        };
        let options = Options::parse_from_bytes(&any.value)?;
        Ok(Self {
            systemd_cgroup: options.systemd_cgroup,
            no_pivot_root: options.no_pivot_root,
            no_new_keyring: options.no_new_keyring,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runcs_options_are_understood_and_others_ignored() {
        let mut options = Options::new();
        options.systemd_cgroup = true;
        options.binary_name = "crun".into();
        let mut any = Any::new();
        any.type_url = "containerd.runc.v1.Options".into();
        any.value = options.write_to_bytes().unwrap();
        let parsed = RuntimeOptions::parse(Some(&any)).unwrap();
        assert!(parsed.systemd_cgroup && !parsed.no_pivot_root);
        any.type_url = "runtimeoptions.v1.Options".into();
        assert_eq!(
            RuntimeOptions::parse(Some(&any)).unwrap(),
            RuntimeOptions::default()
        );
        assert_eq!(
            RuntimeOptions::parse(None).unwrap(),
            RuntimeOptions::default()
        );
    }
}
