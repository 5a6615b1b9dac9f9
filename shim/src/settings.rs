use std::path::Path;

use oci::Bundle;
use serde::Deserialize;

use crate::error::{Error, Result};

/// Where the operator of a node sets what holds for all its containers.
const FILE: &str = "/etc/containerd-shim-wasm/config.toml";

/// The annotation that sets it for one container.
const AOT: &str = "io.containerd.wasm.aot";

/// When a module's native code is made, if there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aot {
    /// While the first container is interpreted, for those after it.
    #[default]
    Background,
    /// Before the container is created.
    Wait,
    /// Never; all are interpreted.
    Off,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    aot: Aot,
}

impl Aot {
    /// What the container's annotation says, else what the node's file says.
    pub fn of(bundle: &Bundle) -> Result<Self> {
        let annotation = bundle
            .annotations()
            .and_then(|annotations| annotations.get(AOT));
        match annotation.map(String::as_str) {
            Some("background") => Ok(Self::Background),
            Some("wait") => Ok(Self::Wait),
            Some("off") => Ok(Self::Off),
            Some(other) => Err(Error::Invalid(format!(
                "annotation {AOT} is {other:?}; it can be background, wait or off"
            ))),
            None => read(Path::new(FILE)).map(|settings| settings.aot),
        }
    }
}

/// Without a file all is as it is by default.
fn read(file: &Path) -> Result<Settings> {
    match std::fs::read_to_string(file) {
        Ok(text) => basic_toml::from_str(&text)
            .map_err(|error| Error::Invalid(format!("{}: {error}", file.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Settings::default()),
        Err(error) => Err(Error::Invalid(format!(
            "{} can't be read: {error}",
            file.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings> {
        let file = std::env::temp_dir().join(format!("settings-{}", std::process::id()));
        std::fs::write(&file, text).unwrap();
        let settings = read(&file);
        std::fs::remove_file(file).unwrap();
        settings
    }

    #[test]
    fn a_file_is_optional_and_mistakes_in_it_are_told() {
        assert_eq!(
            read(Path::new("/no/such/file")).unwrap(),
            Settings::default()
        );
        assert_eq!(parse("").unwrap().aot, Aot::Background);
        assert_eq!(parse("aot = \"off\"\n").unwrap().aot, Aot::Off);
        for wrong in ["aot = \"maybe\"", "aott = \"off\"", "aot"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
