use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::Mount;

use crate::mounts::is_bind;

/// A folder that the guest finds open when it starts (WASI preview 1,
/// `fd_prestat_get`): the same path in the guest and in the container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Preopen(PathBuf);

impl Preopen {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// The preopens of a container: its root, then each bind mount, shortest first.
///
/// All bind mounts are reachable through the root already; one of their own
/// gives each its place in the guest's list, so that programs that look for the
/// longest matching preopen work with it directly. Mounts of single files are
/// dropped later, where the file system can be asked. A destination with a
/// colon can't be named to WasmEdge (`guest:host`) and stays reachable through
/// the root alone.
pub(crate) fn preopens(mounts: Option<&[Mount]>) -> Vec<Preopen> {
    let mut folders: Vec<PathBuf> = mounts
        .unwrap_or_default()
        .iter()
        .filter(|mount| is_bind(mount))
        .map(|mount| normal(mount.destination()))
        .filter(|path| path != Path::new("/") && !path.to_string_lossy().contains(':'))
        .collect();
    folders.sort();
    folders.dedup();
    std::iter::once(PathBuf::from("/"))
        .chain(folders)
        .map(Preopen)
        .collect()
}

/// An absolute path without `.`, `..`, double or trailing slashes.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => normal.push(name),
            Component::ParentDir => {
                normal.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mounts: &str) -> Vec<String> {
        let mounts: Vec<Mount> = serde_json::from_str(mounts).unwrap();
        preopens(Some(&mounts))
            .iter()
            .map(|preopen| preopen.path().to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn the_root_comes_first_then_each_bind_mount_once() {
        assert_eq!(preopens(None), [Preopen("/".into())]);
        assert_eq!(
            of(r#"[
                {"destination":"/outputs/","type":"bind","source":"/o"},
                {"destination":"/inputs","source":"/i","options":["rbind","ro"]},
                {"destination":"//inputs/./","source":"/i","options":["bind"]},
                {"destination":"/run","type":"tmpfs","source":"tmpfs"}]"#),
            ["/", "/inputs", "/outputs"]
        );
    }

    #[test]
    fn no_path_leads_above_the_root() {
        assert_eq!(
            of(r#"[{"destination":"/../../etc/x","type":"bind","source":"/x"}]"#),
            ["/", "/etc/x"]
        );
    }

    #[test]
    fn spaces_and_unicode_are_names_like_others_but_a_colon_is_not() {
        assert_eq!(
            of(r#"[
                {"destination":"/in puts/größe","type":"bind","source":"/x"},
                {"destination":"/a:b","type":"bind","source":"/x"}]"#),
            ["/", "/in puts/größe"]
        );
    }
}
