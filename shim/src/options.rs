use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::{CodedInputStream, Message};
use containerd_shim_protos::shim::oci::Options;
use serde::Deserialize;

use crate::error::{Error, Result};

/// How a container is to be made, from the runtime options in containerd's
/// configuration: the fields of runc's shim (containerd.runc.v1.Options) that
/// make sense for any runtime; others are ignored, as is another type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuntimeOptions {
    pub systemd_cgroup: bool,
    pub no_pivot_root: bool,
    pub no_new_keyring: bool,
}

/// The same in the TOML of containerd's configuration, which CRI hands on as it is
/// to runtimes other than runc's.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Table {
    systemd_cgroup: bool,
    no_pivot_root: bool,
    no_new_keyring: bool,
}

/// `ConfigBody` of runtimeoptions.v1.Options, and `ConfigPath`, which has a file
/// with it (`ctr run --runtime-config-path`).
const CONFIG_PATH: u32 = 2;
const CONFIG_BODY: u32 = 3;

impl RuntimeOptions {
    pub fn parse(any: Option<&Any>) -> Result<Self> {
        let Some(any) = any else {
            return Ok(Self::default());
        };
        if any.type_url.ends_with("runtimeoptions.v1.Options") {
            return Self::of_table(&any.value);
        }
        if !any.type_url.ends_with("containerd.runc.v1.Options") {
            return Ok(Self::default());
        }
        let options = Options::parse_from_bytes(&any.value)?;
        Ok(Self {
            systemd_cgroup: options.systemd_cgroup,
            no_pivot_root: options.no_pivot_root,
            no_new_keyring: options.no_new_keyring,
        })
    }

    fn of_table(message: &[u8]) -> Result<Self> {
        let (mut path, mut body) = (String::new(), Vec::new());
        let mut stream = CodedInputStream::from_bytes(message);
        // All fields are strings or bytes (wire type 2).
        while let Some(tag) = stream.read_raw_tag_or_eof()? {
            match tag >> 3 {
                CONFIG_PATH => path = stream.read_string()?,
                CONFIG_BODY => body = stream.read_bytes()?,
                _ => drop(stream.read_bytes()?),
            }
        }
        let mistake = |reason: String| {
            let place = if path.is_empty() {
                "containerd's configuration"
            } else {
                &path
            };
            Error::Invalid(format!("the runtime's options in {place}: {reason}"))
        };
        if !path.is_empty() {
            body = std::fs::read(&path).map_err(|error| mistake(error.to_string()))?;
        }
        let table: Table =
            basic_toml::from_slice(&body).map_err(|error| mistake(error.to_string()))?;
        Ok(Self {
            systemd_cgroup: table.systemd_cgroup,
            no_pivot_root: table.no_pivot_root,
            no_new_keyring: table.no_new_keyring,
        })
    }
}

#[cfg(test)]
mod tests {
    use containerd_shim_protos::protobuf::CodedOutputStream;

    use super::*;

    fn any(type_url: &str, value: Vec<u8>) -> Any {
        let mut any = Any::new();
        (any.type_url, any.value) = (type_url.into(), value);
        any
    }

    /// As containerd's CRI plugin makes it from the table `options` of a runtime.
    fn generic(path: &str, body: &str) -> Any {
        let mut value = Vec::new();
        {
            let mut stream = CodedOutputStream::vec(&mut value);
            for (field, text) in [(1, "some.type"), (CONFIG_PATH, path), (CONFIG_BODY, body)] {
                stream.write_string(field, text).unwrap();
            }
            stream.flush().unwrap();
        }
        any("runtimeoptions.v1.Options", value)
    }

    #[test]
    fn runcs_options_are_understood_and_others_ignored() {
        let mut options = Options::new();
        options.systemd_cgroup = true;
        options.binary_name = "crun".into();
        let mut any = any(
            "containerd.runc.v1.Options",
            options.write_to_bytes().unwrap(),
        );
        let parsed = RuntimeOptions::parse(Some(&any)).unwrap();
        assert!(parsed.systemd_cgroup && !parsed.no_pivot_root);
        any.type_url = "something.else.Options".into();
        assert_eq!(
            RuntimeOptions::parse(Some(&any)).unwrap(),
            RuntimeOptions::default()
        );
        assert_eq!(
            RuntimeOptions::parse(None).unwrap(),
            RuntimeOptions::default()
        );
    }

    #[test]
    fn a_table_in_containerds_configuration_says_the_same() {
        let parse = |any: Any| RuntimeOptions::parse(Some(&any));
        let parsed = parse(generic("", "SystemdCgroup = true\nBinaryName = \"x\"\n")).unwrap();
        assert!(parsed.systemd_cgroup && !parsed.no_pivot_root && !parsed.no_new_keyring);
        assert_eq!(parse(generic("", "")).unwrap(), RuntimeOptions::default());
        let error = parse(generic("", "SystemdCgroup = 1"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("the runtime's options in containerd's configuration: "),
            "{error}"
        );
        let file = std::env::temp_dir().join(format!("options-{}", std::process::id()));
        std::fs::write(&file, "NoPivotRoot = true\n").unwrap();
        let path = file.to_str().unwrap();
        assert!(
            parse(generic(path, "SystemdCgroup = true"))
                .unwrap()
                .no_pivot_root
        );
        std::fs::remove_file(&file).unwrap();
        let error = parse(generic(path, "")).unwrap_err().to_string();
        assert!(error.contains(path), "{error}");
    }
}
