use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use ipc::{Launch, ToLauncher};
use oci::Bundle;

use crate::cgroup::Cgroup;
use crate::cgroup_path;
use crate::error::{Context, Result};
use crate::launcher::Launcher;
use crate::options::RuntimeOptions;
use crate::settings::Settings;
use crate::zygote::Zygote;

/// What is said of a container where all begins.
#[derive(Debug)]
pub struct Config {
    pub bundle: Bundle,
    pub settings: Settings,
    stamp: Stamp,
}

/// Which `config.json` was read, and which content of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp([i64; 6]);

impl Stamp {
    /// To be taken before it is read.
    pub fn of(bundle: &Path) -> Result<Self> {
        let file = bundle.join("config.json");
        let file = std::fs::metadata(&file).at("can't read", &file)?;
        Ok(Self([
            file.ino().cast_signed(),
            file.size().cast_signed(),
            file.mtime(),
            file.mtime_nsec(),
            file.ctime(),
            file.ctime_nsec(),
        ]))
    }
}

impl Config {
    pub fn read(bundle: &Path) -> Result<Self> {
        let stamp = Stamp::of(bundle);
        let bundle = Bundle::load(bundle)?;
        Self::of(bundle, stamp?)
    }

    pub fn of(bundle: Bundle, stamp: Stamp) -> Result<Self> {
        let settings = Settings::of(&bundle)?;
        Ok(Self {
            bundle,
            settings,
            stamp,
        })
    }
}

/// A container whose launcher has been told all that its `config.json` says, and
/// does what it can with that. Undone when this is dropped, or at once by
/// `Launcher::dismiss`.
#[derive(Debug)]
pub struct Preparation {
    pub config: Arc<Config>,
    pub launch: Launch,
    pub cgroup: Cgroup,
    pub launcher: Launcher,
}

impl Preparation {
    pub async fn make(
        id: &str,
        config: Arc<Config>,
        options: RuntimeOptions,
        zygote: &Zygote,
    ) -> Result<Self> {
        let launch = launch(id, &config, options);
        let path = config.bundle.cgroups_path();
        let cgroup = Cgroup::of(path, id, launch.systemd_cgroup)?;
        cgroup.check_unused()?;
        let own_network = config.bundle.has_own_network();
        let prepare = ToLauncher::Prepare {
            launch: launch.clone(),
            cgroup: cgroup.folders.clone(),
        };
        let launcher = zygote.fork_to(&prepare, own_network).await?;
        Ok(Self {
            config,
            launch,
            cgroup,
            launcher,
        })
    }

    /// Whether it is what would be made now for this container.
    pub fn is_for(&self, id: &str, bundle: &Path, options: RuntimeOptions) -> bool {
        self.config.bundle.path == bundle
            && Stamp::of(bundle).is_ok_and(|stamp| stamp == self.config.stamp)
            && self.launch == launch(id, &self.config, options)
            && !self.launcher.is_gone()
    }
}

fn launch(id: &str, config: &Config, options: RuntimeOptions) -> Launch {
    let Config {
        bundle, settings, ..
    } = config;
    let is_systemd = cgroup_path::is_systemd(bundle.cgroups_path());
    Launch {
        systemd_cgroup: options.systemd_cgroup || is_systemd,
        direct: settings.direct,
        trace: settings.wants_trace(),
        ..crate::tasks::launch(id.to_owned(), &bundle.path, options)
    }
}
