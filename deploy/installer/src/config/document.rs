//! What one of containerd's configuration files says.

use std::path::{Path, PathBuf};

use toml_edit::{Document as Toml, Item};

use crate::error::{Error, Result};

/// The name of our entry in containerd's configuration, and the handler that
/// the RuntimeClass names.
pub const HANDLER: &str = "wasm";
pub const RUNTIME: &str = "io.containerd.wasm.v1";

/// The plugins with the runtimes and with the pulling of images.
pub const CRI: &str = "io.containerd.grpc.v1.cri";
pub const CRI_RUNTIME: &str = "io.containerd.cri.v1.runtime";
pub const CRI_IMAGES: &str = "io.containerd.cri.v1.images";

/// Bytes of a file's text.
type Span = std::ops::Range<usize>;

#[derive(Debug)]
pub struct Document {
    path: PathBuf,
    toml: Toml<String>,
}

impl Document {
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let toml = Toml::parse(text.to_owned()).map_err(|error| Error::Toml {
            path: path.into(),
            // Line, column and a drawing of the place; one line is enough.
            reason: error.to_string().lines().next().unwrap_or_default().into(),
        })?;
        Ok(Self {
            path: path.into(),
            toml,
        })
    }

    fn at(&self, keys: &[&str]) -> Option<&Item> {
        keys.iter()
            .try_fold(self.toml.as_item(), |item, key| item.get(*key))
    }

    /// The version of the format, `None` if the file does not say: for containerd
    /// 1.x that means 1, for its imports that of the importing file.
    pub fn version(&self) -> Option<i64> {
        self.at(&["version"])?.as_integer()
    }

    /// The version, which has to be one that this program can write.
    pub fn supported_version(&self) -> Result<i64> {
        let path = self.path.display();
        match self.version() {
            Some(version @ 2..=4) => Ok(version),
            Some(version @ 5..) => Err(Error::invalid(format!(
                "{path} has version {version}, which is newer than this installer knows (4)"
            ))),
            _ => Err(Error::invalid(format!(
                "{path} has the configuration format 1, which has no runtimes for pods and is gone in \
                 containerd 2; replace it by the output of `containerd config default`, with your changes"
            ))),
        }
    }

    pub fn imports(&self) -> Vec<String> {
        let Some(array) = self.at(&["imports"]).and_then(Item::as_array) else {
            return Vec::new();
        };
        array
            .iter()
            .filter_map(|value| value.as_str().map(String::from))
            .collect()
    }

    /// Where the array of imports is in the text, and each of its elements.
    pub fn imports_spans(&self) -> Option<(Span, Vec<(String, Span)>)> {
        let array = self.at(&["imports"])?.as_array()?;
        let elements = array
            .iter()
            .filter_map(|value| Some((value.as_str()?.to_owned(), value.span()?)))
            .collect();
        Some((array.span()?, elements))
    }

    fn cri(&self) -> Option<&Item> {
        [CRI_RUNTIME, CRI]
            .into_iter()
            .find_map(|plugin| self.at(&["plugins", plugin, "containerd"]))
    }

    /// Whether the plugin for pods has settings here.
    pub fn has_cri(&self) -> bool {
        [CRI_RUNTIME, CRI]
            .into_iter()
            .any(|plugin| self.at(&["plugins", plugin]).is_some())
    }

    pub fn has_images(&self) -> bool {
        self.at(&["plugins", CRI_IMAGES]).is_some()
    }

    pub fn pulls_locally(&self) -> bool {
        let flag = self.at(&["plugins", CRI_IMAGES, "use_local_image_pull"]);
        flag.and_then(Item::as_bool).unwrap_or(false)
    }

    /// Whether pods are switched off, as in the file that comes with Docker.
    pub fn disables_cri(&self) -> bool {
        let disabled = self.at(&["disabled_plugins"]).and_then(Item::as_array);
        let mut names = disabled
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str());
        names.any(|name| matches!(name, "cri" | CRI | CRI_RUNTIME | CRI_IMAGES))
    }

    /// Whether the runtimes are listed here, the default one among them.
    pub fn lists_runtimes(&self) -> bool {
        let has = |key| self.cri().and_then(|cri| cri.get(key)).is_some();
        has("runtimes") || has("default_runtime")
    }

    pub fn runtime(&self, handler: &str) -> Option<&Item> {
        self.cri()?.get("runtimes")?.get(handler)
    }

    /// `SystemdCgroup` of the runtime that ordinary pods get, if it is said here.
    pub fn systemd_cgroup(&self) -> Option<bool> {
        let name = self
            .cri()
            .and_then(|cri| cri.get("default_runtime_name")?.as_str())
            // microk8s fills this in when it starts.
            .filter(|name| !name.starts_with("${"))
            .unwrap_or("runc");
        let driver = |handler: &str| {
            self.runtime(handler)?
                .get("options")?
                .get("SystemdCgroup")?
                .as_bool()
        };
        driver(name).or_else(|| driver("runc"))
    }

    /// The runtime type of an entry `wasm`, whoever made it.
    pub fn handler(&self) -> Option<String> {
        let entry = self.runtime(HANDLER)?;
        let kind = entry
            .get("runtime_type")
            .and_then(Item::as_str)
            .unwrap_or_default();
        Some(kind.into())
    }
}

/// Whether an entry made by hand is for our shim: then it is the operator's.
pub fn is_ours(runtime_type: &str) -> bool {
    runtime_type == RUNTIME || runtime_type.ends_with("/containerd-shim-wasm-v1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Document {
        Document::parse(Path::new("/c.toml"), text).unwrap()
    }

    #[test]
    fn the_cgroup_driver_is_that_of_ordinary_pods() {
        let text = |plugin: &str, default: &str| {
            format!(
                "[plugins.'{plugin}'.containerd]\ndefault_runtime_name = '{default}'\n\
                 [plugins.'{plugin}'.containerd.runtimes.runc.options]\nSystemdCgroup = true\n\
                 [plugins.'{plugin}'.containerd.runtimes.crun.options]\nSystemdCgroup = false\n"
            )
        };
        for plugin in [CRI, CRI_RUNTIME] {
            assert_eq!(parse(&text(plugin, "runc")).systemd_cgroup(), Some(true));
            assert_eq!(parse(&text(plugin, "crun")).systemd_cgroup(), Some(false));
            assert_eq!(
                parse(&text(plugin, "${RUNTIME}")).systemd_cgroup(),
                Some(true)
            );
        }
        assert_eq!(parse("version = 2\n").systemd_cgroup(), None);
    }

    #[test]
    fn formats_without_runtimes_are_refused() {
        assert_eq!(parse("version = 4").supported_version().unwrap(), 4);
        for (text, says) in [
            ("", "format 1"),
            ("version = 1", "format 1"),
            ("version = 5", "newer than this installer"),
        ] {
            let error = parse(text).supported_version().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let error = Document::parse(Path::new("/c.toml"), "a = \n")
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("/c.toml can't be read as TOML: "),
            "{error}"
        );
    }
}
