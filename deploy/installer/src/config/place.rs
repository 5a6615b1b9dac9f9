//! Where our tables go, which depends on the kind of node and the format.

use std::path::{Path, PathBuf};

use super::document::Document;
use super::sources::{self, Source};
use crate::error::Result;
use crate::host::Host;
use crate::layout::{Kind, Layout};

/// The name of our file in a folder of drop-ins.
const DROP_IN: &str = "containerd-shim-wasm.toml";

/// Paths are the node's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of our own that containerd reads besides; `import_in` has to name it.
    DropIn {
        file: PathBuf,
        import_in: Option<PathBuf>,
    },
    /// Lines at the end of a file.
    Block { file: PathBuf },
    /// Lines in a Go template, from which k3s or RKE2 make the file when they start.
    Template { file: PathBuf },
}

/// `sources`: what containerd reads now, the main file first.
pub fn find(host: &Host, layout: &Layout, sources: &[Source]) -> Result<Place> {
    match layout.kind {
        Kind::K3s | Kind::Rke2 => template_or_drop_in(layout, sources),
        Kind::Microk8s => Ok(Place::Block {
            file: layout.config.with_file_name("containerd-template.toml"),
        }),
        Kind::K0s if is_managed_by_k0s(host, layout)? => Ok(Place::DropIn {
            file: layout.config.with_file_name("containerd.d").join(DROP_IN),
            import_in: None,
        }),
        Kind::K0s | Kind::Containerd => block_or_drop_in(layout, sources),
    }
}

/// k0s merges its folder of drop-ins, whatever the version, into a file that has
/// this line; without it the file is the operator's.
fn is_managed_by_k0s(host: &Host, layout: &Layout) -> Result<bool> {
    let text = host.read(&layout.config)?.unwrap_or_default();
    Ok(text
        .lines()
        .any(|line| line.replace(' ', "") == "#k0s_managed=true"))
}

fn template_or_drop_in(layout: &Layout, sources: &[Source]) -> Result<Place> {
    if let Some(folder) = imported_folder(&layout.config, sources)? {
        let file = folder.join(DROP_IN);
        return Ok(Place::DropIn {
            file,
            import_in: None,
        });
    }
    let version = sources::last(sources, Document::version)?.unwrap_or(2);
    let name = if version >= 3 {
        "config-v3.toml.tmpl"
    } else {
        "config.toml.tmpl"
    };
    Ok(Place::Template {
        file: layout.config.with_file_name(name),
    })
}

fn block_or_drop_in(layout: &Layout, sources: &[Source]) -> Result<Place> {
    let config = &layout.config;
    let Some(main) = sources.first() else {
        return Ok(Place::Block {
            file: config.clone(),
        });
    };
    let version = Document::parse(config, &main.text)?.supported_version()?;
    if version >= 3 {
        let folder = imported_folder(config, sources)?;
        let import_in = folder.is_none().then(|| config.clone());
        let folder = folder.unwrap_or_else(|| config.with_file_name("conf.d"));
        let file = folder.join(DROP_IN);
        return Ok(Place::DropIn { file, import_in });
    }
    // containerd 1.x does not merge what imports say of a plugin: the last file
    // that has the plugin is the one that counts.
    let counts = |source: &&Source| {
        Document::parse(&source.path, &source.text).is_ok_and(|document| document.has_cri())
    };
    let file = sources
        .iter()
        .rev()
        .find(counts)
        .unwrap_or(main)
        .path
        .clone();
    Ok(Place::Block { file })
}

/// A folder whose files are imported already. Not for format 2, see above.
fn imported_folder(config: &Path, sources: &[Source]) -> Result<Option<PathBuf>> {
    let Some(main) = sources.first() else {
        return Ok(None);
    };
    let document = Document::parse(config, &main.text)?;
    if document.version().unwrap_or(0) < 3 {
        return Ok(None);
    }
    let imports = document.imports();
    Ok(imports
        .iter()
        .find_map(|import| sources::drop_in_folder(config, import)))
}
