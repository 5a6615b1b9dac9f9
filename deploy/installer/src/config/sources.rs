//! All files that a containerd reads, in the order in which they count.

use std::fs;
use std::path::{Path, PathBuf};

use super::document::Document;
use crate::error::Result;
use crate::host::Host;

/// A file and its text. Paths are the node's.
#[derive(Debug, Clone)]
pub struct Source {
    pub path: PathBuf,
    pub text: String,
}

/// The main file and what it imports; empty if there is no main file.
pub fn read(host: &Host, main: &Path) -> Result<Vec<Source>> {
    let Some(text) = host.read(main)? else {
        return Ok(Vec::new());
    };
    let imports = Document::parse(main, &text)?.imports();
    let mut sources = vec![Source {
        path: main.into(),
        text,
    }];
    for import in imports {
        for path in matches(host, main, &import) {
            if let Some(text) = host.read(&path)? {
                sources.push(Source { path, text });
            }
        }
    }
    Ok(sources)
}

/// The folder of an import that takes in each file that ends with `.toml`.
pub fn drop_in_folder(main: &Path, import: &str) -> Option<PathBuf> {
    let import = absolute(main, import);
    (import.file_name()? == "*.toml").then(|| import.parent().map(Into::into))?
}

fn absolute(main: &Path, import: &str) -> PathBuf {
    main.parent().unwrap_or(Path::new("/")).join(import)
}

/// Patterns are understood as far as they are used: `*` in the file's name.
fn matches(host: &Host, main: &Path, import: &str) -> Vec<PathBuf> {
    let import = absolute(main, import);
    let name = import
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let Some((head, tail)) = name.split_once('*') else {
        return vec![import];
    };
    let folder = import.parent().unwrap_or(Path::new("/"));
    let entries = fs::read_dir(host.path(folder))
        .into_iter()
        .flatten()
        .flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<_> = names
        .filter(|name| {
            name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        })
        .map(|name| folder.join(name))
        .collect();
    found.sort();
    found
}

/// What the files say together; the last word counts.
pub fn last<T>(sources: &[Source], say: impl Fn(&Document) -> Option<T>) -> Result<Option<T>> {
    let mut last = None;
    for source in sources {
        let document = Document::parse(&source.path, &source.text)?;
        last = say(&document).or(last);
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Folder;

    #[test]
    fn imports_come_after_the_file_in_order() {
        let folder = Folder::new("sources");
        folder.write(
            "etc/c.toml",
            "version = 3\nimports = ['d/*.toml', '/etc/none.toml']\n",
        );
        for name in ["b.toml", "a.toml", ".hidden", "c.toml.bak"] {
            folder.write(&format!("etc/d/{name}"), "[plugins]\n");
        }
        let host = Host::new(&folder.path("")).unwrap();
        let main = Path::new("/etc/c.toml");
        let paths: Vec<_> = read(&host, main)
            .unwrap()
            .into_iter()
            .map(|source| source.path)
            .collect();
        assert_eq!(
            paths,
            [main, Path::new("/etc/d/a.toml"), Path::new("/etc/d/b.toml")]
        );
        assert_eq!(
            drop_in_folder(main, "d/*.toml").unwrap(),
            Path::new("/etc/d")
        );
        assert_eq!(drop_in_folder(main, "/x/99-*.toml"), None);
        assert!(read(&host, Path::new("/none")).unwrap().is_empty());
    }
}
