//! What was made on the node, written down before it is made, so that all of it
//! can be removed whatever happens in between.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files;
use crate::host::Host;
use crate::layout::{self, Layout};

const FILE: &str = "/opt/containerd-shim-wasm/installed.json";

#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The node's kind and the configuration that was changed.
    pub layout: Option<Layout>,
    /// Folders and files that were not there before, in the order of making.
    pub made: Vec<PathBuf>,
    /// All files that were written, so that what a crash left of it is found.
    #[serde(default)]
    pub written: Vec<PathBuf>,
    /// The configuration was changed, and containerd may not have read it yet.
    #[serde(default)]
    pub restart_pending: bool,
}

impl State {
    pub fn load(host: &Host) -> Result<Self> {
        let Some(text) = host.read(FILE)? else {
            return Ok(Self::default());
        };
        serde_json::from_str(&text)
            .map_err(|error| Error::invalid(format!("{FILE} is damaged: {error}; remove it")))
    }

    pub fn save(&self, host: &Host) -> Result<()> {
        let path = host.path(FILE);
        let text = serde_json::to_string_pretty(self).expect("plain data") + "\n";
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        files::replace(&path, text.as_bytes())
    }

    /// Notes a file that will be written, and the folders that it needs, and makes
    /// these.
    pub fn will_write(&mut self, host: &Host, path: &Path) -> Result<()> {
        let mut new = files::missing_parents(path);
        if fs::symlink_metadata(path).is_err() {
            new.push(path.into());
        }
        for one in new {
            note(&mut self.made, host.on_node(&one));
        }
        note(&mut self.written, host.on_node(path));
        // The first time, the folder for the state itself is made by this.
        files::make_parents(&host.path(FILE))?;
        self.save(host)?;
        files::make_parents(path)
    }

    /// Removes what was made, the state last; folders only if nobody put something
    /// else there.
    pub fn remove_all(&self, host: &Host) -> Result<()> {
        for path in &self.written {
            files::remove(&files::unfinished(&host.link(path)))?;
        }
        files::remove_tree(&host.link(Path::new(layout::CACHE)))?;
        let prefix = Path::new(layout::PREFIX);
        let (above, others): (Vec<_>, Vec<_>) =
            self.made.iter().partition(|path| prefix.starts_with(path));
        for path in others.into_iter().rev() {
            remove(&host.link(path))?;
        }
        files::remove_tree(&host.link(prefix))?;
        above
            .into_iter()
            .rev()
            .try_for_each(|path| remove(&host.link(path)))
    }
}

fn note(list: &mut Vec<PathBuf>, path: PathBuf) {
    if !list.contains(&path) {
        list.push(path);
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => drop(fs::remove_dir(path)),
        Ok(_) => files::remove(path)?,
        Err(_) => {}
    }
    Ok(())
}
