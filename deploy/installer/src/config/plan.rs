//! What has to change in which file; nothing is changed here.

use std::path::{Path, PathBuf};

use super::document::{Document, HANDLER, is_ours};
use super::place::{self, Place};
use super::sources::{self, Source};
use super::tables::Tables;
use super::{block, imports};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::layout::{Kind, Layout};
use crate::version::Version;

/// What k3s and RKE2 make of a template that only means their own.
const BASE: &str = "{{ template \"base\" . }}\n";

/// A file of the node before and after; `None` is no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub path: PathBuf,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Changes in the order in which they have to be made: at each moment containerd
/// could read what is there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub changes: Vec<Change>,
    /// What the operator should know.
    pub notes: Vec<String>,
}

impl Plan {
    fn add(&mut self, path: &Path, before: Option<String>, after: Option<String>) {
        if before != after {
            let path = path.into();
            self.changes.push(Change {
                path,
                before,
                after,
            });
        }
    }
}

pub fn install(host: &Host, layout: &Layout, containerd: Option<Version>) -> Result<Plan> {
    let mut plan = Plan::default();
    let mut sources = sources::read(host, &layout.config)?;
    if sources.is_empty() {
        let text = first_file(layout, containerd)?;
        plan.add(&layout.config, None, Some(text.clone()));
        let path = layout.config.clone();
        sources.push(Source { path, text });
    }
    refuse_disabled(&sources)?;
    let place = place::find(host, layout, &sources)?;
    let theirs = without_ours(&place, &sources);
    if let Some(runtime_type) = sources::last(&theirs, Document::handler)? {
        if !is_ours(&runtime_type) {
            return Err(Error::invalid(format!(
                "{} has a runtime {HANDLER:?} already, which is {runtime_type:?}; rename or remove it",
                layout.config.display()
            )));
        }
        plan.notes.push(format!(
            "{} has a runtime {HANDLER:?} of this shim that was not made by this installer; it is left as it is",
            layout.config.display()
        ));
        plan.changes.clear();
        return Ok(plan);
    }
    match &place {
        Place::DropIn { file, import_in } => {
            let tables = tables(host, &place, &theirs, containerd)?;
            plan.add(file, host.read(file)?, Some(tables.drop_in()));
            if let Some(main) = import_in {
                let text = host.read(main)?.unwrap_or_default();
                let after = imports::with(main, &text, &file.to_string_lossy())?;
                plan.add(main, Some(text), Some(after));
            }
        }
        Place::Template { file } => {
            let before = host.read(file)?;
            let tables = tables(host, &place, &theirs, containerd)?;
            let after = block::with(before.as_deref().unwrap_or(BASE), &tables.text());
            plan.add(file, before, Some(after));
        }
        Place::Block { file } => {
            let made = plan.changes.pop();
            let before = host.read(file)?;
            let text = match &made {
                Some(made) => made.after.clone(),
                None => before.clone(),
            };
            let text =
                text.ok_or_else(|| Error::invalid(format!("{} is not there", file.display())))?;
            let tables = tables(host, &place, &theirs, containerd)?;
            let after = block::with(&text, &tables.text());
            // A table that is written inline can't be added to.
            Document::parse(file, &after).map_err(|error| {
                Error::invalid(format!(
                    "nothing can be added to {}: write its runtimes as tables of their own ({error})",
                    file.display()
                ))
            })?;
            plan.add(file, before, Some(after));
        }
    }
    Ok(plan)
}

pub fn uninstall(host: &Host, layout: &Layout, made: &[PathBuf]) -> Result<Plan> {
    let mut plan = Plan::default();
    let sources = sources::read(host, &layout.config)?;
    // The import goes before the file that it names.
    match place::find(host, layout, &sources)? {
        Place::DropIn { file, import_in } => {
            if let Some(main) = import_in.as_ref().and_then(|_| sources.first()) {
                let after = imports::without(&main.path, &main.text, &file.to_string_lossy())?;
                plan.add(&main.path, Some(main.text.clone()), Some(after));
            }
            plan.add(&file, host.read(&file)?, None);
        }
        Place::Block { file } | Place::Template { file } => {
            let before = host.read(&file)?;
            let after = before.as_deref().map(block::without);
            plan.add(&file, before, after);
        }
    }
    // A file that this program made goes if nobody has changed it since.
    for change in &mut plan.changes {
        let text = change.after.as_deref().unwrap_or_default();
        let untouched = text == BASE || text == first_text(2) || text == first_text(3);
        if made.contains(&change.path) && untouched {
            change.after = None;
        }
    }
    let main = &layout.config;
    let is_first = sources
        .first()
        .is_some_and(|source| source.text == first_text(3));
    if made.contains(main) && is_first && !plan.changes.iter().any(|change| change.path == *main) {
        plan.add(main, host.read(main)?, None);
    }
    Ok(plan)
}

/// For a containerd that has run without any.
fn first_file(layout: &Layout, containerd: Option<Version>) -> Result<String> {
    let path = layout.config.display();
    match (layout.kind, containerd) {
        (Kind::Containerd, Some(version)) => Ok(first_text(if version.major >= 2 { 3 } else { 2 })),
        (Kind::Containerd, None) => Err(Error::invalid(format!(
            "there is no {path}, and no containerd that tells its version; make the file with \
             `containerd config default`"
        ))),
        _ => Err(Error::invalid(format!(
            "there is no {path}; has the node been started?"
        ))),
    }
}

/// With format 3, containerd's own default for imports holds on.
fn first_text(version: i64) -> String {
    match version {
        2 => "version = 2\n".into(),
        _ => "version = 3\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n".into(),
    }
}

fn refuse_disabled(sources: &[Source]) -> Result<()> {
    for source in sources {
        if Document::parse(&source.path, &source.text)?.disables_cri() {
            return Err(Error::invalid(format!(
                "{} switches pods off (disabled_plugins); no kubelet can work with it: remove the entry",
                source.path.display()
            )));
        }
    }
    Ok(())
}

/// The files as they would be without us.
fn without_ours(place: &Place, sources: &[Source]) -> Vec<Source> {
    let mut theirs = sources.to_vec();
    match place {
        Place::DropIn { file, .. } => theirs.retain(|source| source.path != *file),
        Place::Block { file } => {
            for source in theirs.iter_mut().filter(|source| source.path == *file) {
                source.text = block::without(&source.text);
            }
        }
        // What was rendered from the template has our block too.
        Place::Template { .. } => {
            for source in &mut theirs {
                source.text = block::without(&source.text);
            }
        }
    }
    theirs
}

fn tables(
    host: &Host,
    place: &Place,
    theirs: &[Source],
    containerd: Option<Version>,
) -> Result<Tables> {
    let mut read = theirs.to_vec();
    // microk8s reads a file that it makes from this one.
    if let Place::Block { file } = place {
        let text = host.read(file)?.map(|text| block::without(&text));
        read.extend(text.map(|text| Source {
            path: file.clone(),
            text,
        }));
    }
    let version = sources::last(&read[..read.len().min(1)], |main| {
        Some(main.supported_version())
    })?
    .transpose()?
    .unwrap_or(2);
    let lists_runtimes = sources::last(&read, |document| document.lists_runtimes().then_some(()))?;
    let has_images = sources::last(&read, |document| document.has_images().then_some(()))?;
    let template = matches!(place, Place::Template { .. });
    let is_block = matches!(place, Place::Block { .. });
    let unpacks_only_locally = containerd.is_some_and(|version| version >= Version::new(2, 1));
    Ok(Tables {
        version,
        systemd_cgroup: sources::last(&read, Document::systemd_cgroup)?.unwrap_or(false),
        template,
        with_runc: is_block && version == 2 && lists_runtimes.is_none(),
        local_pull: match place {
            Place::DropIn { .. } => version >= 3,
            Place::Template { .. } => false,
            Place::Block { .. } => unpacks_only_locally && has_images.is_none(),
        },
    })
}

#[cfg(test)]
mod tests;
