//! The files of an image: what lies where, each path once.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Folder { mode: u32 },
    File { mode: u32, content: Content },
    Symlink { target: PathBuf },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Bytes(Vec<u8>),
    /// A file of this machine and its size.
    Host(PathBuf, u64),
}

/// The mode of folders that nobody asked for.
pub const FOLDER: u32 = 0o755;

#[derive(Debug)]
struct Node {
    kind: Kind,
    /// Which argument or file brought it, for messages; `None` for a parent
    /// that only has to be there.
    origin: Option<String>,
}

/// Absolute paths without the root, parents before what lies in them.
#[derive(Debug, Default)]
pub struct Tree(BTreeMap<PathBuf, Node>);

impl Tree {
    /// Puts something at `path`, which is absolute and normal, with the folders
    /// above it. Two folders at one path are one, with the mode of the first.
    pub fn put(&mut self, path: &Path, kind: Kind, origin: &str) -> Result<()> {
        refuse_whiteout(path, origin)?;
        self.put_parents(path, origin)?;
        let is_folder = matches!(kind, Kind::Folder { .. });
        let node = Node {
            kind,
            origin: Some(origin.into()),
        };
        match self.0.get(path) {
            None => drop(self.0.insert(path.into(), node)),
            Some(Node { origin: None, .. }) if is_folder => {
                self.0.insert(path.into(), node);
            }
            Some(there) if is_folder && matches!(there.kind, Kind::Folder { .. }) => {}
            Some(there) => {
                return Err(Error::Clash {
                    path: path.into(),
                    first: self.origin_of(path, there),
                    second: origin.into(),
                });
            }
        }
        Ok(())
    }

    fn put_parents(&mut self, path: &Path, origin: &str) -> Result<()> {
        for parent in path.ancestors().skip(1) {
            match self.0.get(parent) {
                None if parent == Path::new("/") => {}
                None => {
                    let kind = Kind::Folder { mode: FOLDER };
                    self.0.insert(parent.into(), Node { kind, origin: None });
                }
                Some(Node {
                    kind: Kind::Folder { .. },
                    ..
                }) => {}
                Some(there) => {
                    return Err(Error::NotBelow {
                        path: path.into(),
                        parent: parent.into(),
                        first: self.origin_of(parent, there),
                        second: origin.into(),
                    });
                }
            }
        }
        Ok(())
    }

    /// What brought `node`, or for a mere parent what lies in it.
    fn origin_of(&self, path: &Path, node: &Node) -> String {
        let mut below = self.0.iter().skip_while(|(other, _)| *other != path);
        node.origin
            .clone()
            .or_else(|| below.find_map(|(_, node)| node.origin.clone()))
            .unwrap_or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Kind)> {
        self.0
            .iter()
            .map(|(path, node)| (path.as_path(), &node.kind))
    }
}

/// A layer has deletions as files (OCI image spec, "whiteouts").
fn refuse_whiteout(path: &Path, origin: &str) -> Result<()> {
    let deletes = |name: &OsStr| name.as_bytes().starts_with(b".wh.");
    match path.iter().any(deletes) {
        false => Ok(()),
        true => Err(Error::Whiteout {
            path: path.into(),
            origin: origin.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Kind {
        Kind::File {
            mode: 0o644,
            content: Content::Bytes(text.into()),
        }
    }

    fn put(tree: &mut Tree, path: &str, kind: Kind, origin: &str) -> Result<()> {
        tree.put(Path::new(path), kind, origin)
    }

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.iter()
            .map(|(path, _)| path.to_str().unwrap())
            .collect()
    }

    #[test]
    fn parents_come_first_whatever_the_order() {
        let mut tree = Tree::default();
        put(&mut tree, "/b/c/d", file(""), "one").unwrap();
        put(&mut tree, "/b-a", file(""), "two").unwrap();
        put(&mut tree, "/a", file(""), "three").unwrap();
        assert_eq!(paths(&tree), ["/a", "/b", "/b/c", "/b/c/d", "/b-a"]);
    }

    #[test]
    fn folders_merge_and_a_mode_that_was_asked_for_wins() {
        let mut tree = Tree::default();
        put(&mut tree, "/tmp/x", file(""), "one").unwrap();
        for mode in [0o1777, 0o755] {
            put(&mut tree, "/tmp", Kind::Folder { mode }, "two").unwrap();
        }
        assert!(
            tree.iter()
                .any(|(_, kind)| *kind == Kind::Folder { mode: 0o1777 })
        );
    }

    #[test]
    fn names_that_delete_are_refused() {
        let mut tree = Tree::default();
        for path in ["/a/.wh.b", "/.wh.a/b", "/.wh..wh..opq"] {
            let error = put(&mut tree, path, file(""), "one").unwrap_err();
            assert!(matches!(error, Error::Whiteout { .. }), "{error}");
        }
        assert_eq!(paths(&tree), [""; 0]);
    }

    #[test]
    fn clashes_name_both_sides() {
        let mut tree = Tree::default();
        put(&mut tree, "/a/b", file("1"), "one").unwrap();
        for (path, kind) in [
            ("/a/b", file("2")),
            ("/a", file("2")),
            ("/a/b/c", file("2")),
            ("/a/b", Kind::Folder { mode: FOLDER }),
        ] {
            let error = put(&mut tree, path, kind, "two").unwrap_err().to_string();
            assert!(
                error.contains("one") && error.contains("two") && error.contains(path),
                "{path}: {error}"
            );
        }
        let link = Kind::Symlink {
            target: "/elsewhere".into(),
        };
        put(&mut tree, "/link", link, "three").unwrap();
        assert!(put(&mut tree, "/link/x", file(""), "four").is_err());
    }
}
