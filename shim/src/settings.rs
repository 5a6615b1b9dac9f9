use std::path::{Path, PathBuf};

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

/// What holds for one container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub aot: Aot,
    /// Whether common containers of modules are made without libcontainer's
    /// processes, in a fraction of the time.
    pub direct: bool,
    /// Whether to log how long each step of a start takes.
    pub trace: bool,
    /// The file to add figures for Prometheus to.
    pub metrics: Option<PathBuf>,
    /// Where a collector of OpenTelemetry takes spans, by OTLP over HTTP.
    pub otlp: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            aot: Aot::default(),
            direct: true,
            trace: false,
            metrics: None,
            otlp: None,
        }
    }
}

impl Settings {
    /// What the node's file says, but for what the container's annotation says.
    pub fn of(bundle: &Bundle) -> Result<Self> {
        let annotations = bundle.annotations();
        let annotation = annotations.and_then(|annotations| annotations.get(AOT));
        let aot = annotation.map(|value| parse(value)).transpose()?;
        let settings = read(Path::new(FILE))?;
        Ok(Self {
            aot: aot.unwrap_or(settings.aot),
            ..settings
        })
    }
}

impl Settings {
    /// Whether it is to be noted how long each step takes.
    pub fn wants_trace(&self) -> bool {
        self.trace || self.otlp.is_some()
    }

    fn check(self, file: &Path) -> Result<Self> {
        let wrong = |problem| Err(Error::Invalid(format!("{}: {problem}", file.display())));
        match (&self.metrics, &self.otlp) {
            (Some(metrics), _) if !metrics.is_absolute() => wrong(format!(
                "metrics is {}; name an absolute path",
                metrics.display()
            )),
            (_, Some(endpoint)) if !endpoint.starts_with("http://") => wrong(format!(
                "otlp is {endpoint:?}; name a collector on this node, as http://127.0.0.1:4318"
            )),
            _ => Ok(self),
        }
    }
}

fn parse(annotation: &str) -> Result<Aot> {
    match annotation {
        "background" => Ok(Aot::Background),
        "wait" => Ok(Aot::Wait),
        "off" => Ok(Aot::Off),
        other => Err(Error::Invalid(format!(
            "annotation {AOT} is {other:?}; it can be background, wait or off"
        ))),
    }
}

/// Without a file all is as it is by default.
fn read(file: &Path) -> Result<Settings> {
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let settings: Settings = basic_toml::from_str(&text)
                .map_err(|error| Error::Invalid(format!("{}: {error}", file.display())))?;
            settings.check(file)
        }
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

    fn write_and_read(text: &str) -> Result<Settings> {
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
        assert_eq!(write_and_read("").unwrap().aot, Aot::Background);
        assert_eq!(write_and_read("aot = \"off\"\n").unwrap().aot, Aot::Off);
        assert!(!write_and_read("direct = false").unwrap().direct);
        for wrong in [
            "aot = \"maybe\"",
            "aott = \"off\"",
            "aot",
            "metrics = \"a\"",
            "otlp = \"localhost:4318\"",
        ] {
            assert!(write_and_read(wrong).is_err(), "{wrong}");
        }
    }
}
