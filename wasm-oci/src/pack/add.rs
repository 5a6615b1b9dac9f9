//! Files and folders of this machine, to be in the image.

use std::fs::{self, Metadata};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::arguments::Add;
use super::tree::{Content, FOLDER, Kind, Tree};
use crate::error::{Error, Result};

/// Puts what `--add` names into the tree. A symbolic link is followed if it is
/// what was named, and kept if it is found in a folder.
pub fn add(tree: &mut Tree, add: &Add) -> Result<()> {
    let metadata = fs::metadata(&add.host).map_err(|source| read_error(&add.host, source))?;
    if !metadata.is_dir() {
        if add.guest == Path::new("/") {
            return Err(Error::FileAsRoot(add.host.clone()));
        }
        if add.is_folder {
            return Err(Error::FileAsFolder {
                from: add.host.clone(),
                instead: add.guest.join(add.host.file_name().unwrap_or_default()),
            });
        }
    }
    walk(tree, &add.host, &add.guest, &metadata)
}

/// The order of a folder's entries is the tree's, not the file system's.
fn walk(tree: &mut Tree, host: &Path, guest: &Path, metadata: &Metadata) -> Result<()> {
    let kind = kind(host, metadata)?;
    let is_folder = matches!(kind, Kind::Folder { .. });
    // The root of an image is not an entry of it.
    if guest != Path::new("/") {
        tree.put(guest, kind, &host.to_string_lossy())?;
    }
    if !is_folder {
        return Ok(());
    }
    for entry in fs::read_dir(host).map_err(|source| read_error(host, source))? {
        let entry = entry.map_err(|source| read_error(host, source))?;
        let path = entry.path();
        let metadata = entry
            .metadata()
            .map_err(|source| read_error(&path, source))?;
        walk(tree, &path, &guest.join(entry.file_name()), &metadata)?;
    }
    Ok(())
}

/// Modes say no more than git keeps, so that they do not tell of the umask of
/// who packs; but a folder for everybody stays one.
fn kind(host: &Path, metadata: &Metadata) -> Result<Kind> {
    let mode = metadata.permissions().mode();
    if metadata.is_dir() {
        let mode = if mode & 0o002 == 0 { FOLDER } else { 0o1777 };
        return Ok(Kind::Folder { mode });
    }
    if metadata.is_file() {
        return Ok(Kind::File {
            mode: if mode & 0o100 == 0 { 0o644 } else { 0o755 },
            content: Content::Host(host.into(), metadata.len()),
        });
    }
    if metadata.is_symlink() {
        let target = fs::read_link(host).map_err(|source| read_error(host, source))?;
        return Ok(Kind::Symlink { target });
    }
    Err(Error::Special(host.into()))
}

fn read_error(path: &Path, source: std::io::Error) -> Error {
    Error::Read {
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use super::*;

    fn added(host: &Path, guest: &str) -> Result<Vec<(PathBuf, Kind)>> {
        let mut tree = Tree::default();
        add(
            &mut tree,
            &format!("{}:{guest}", host.display()).parse().unwrap(),
        )?;
        Ok(tree
            .iter()
            .map(|(path, kind)| (path.to_owned(), kind.clone()))
            .collect())
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_is_added_with_all_that_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("open")).unwrap();
        set_mode(&path("open"), 0o777);
        fs::write(path("open/tool"), "x").unwrap();
        set_mode(&path("open/tool"), 0o700);
        fs::write(path("data"), "four").unwrap();
        set_mode(&path("data"), 0o600);
        symlink("../nowhere", path("link")).unwrap();
        let found = added(folder.path(), "/srv").unwrap();
        let file = |mode, name: &str, size| Kind::File {
            mode,
            content: Content::Host(path(name), size),
        };
        let expected = [
            ("/srv", Kind::Folder { mode: 0o755 }),
            ("/srv/data", file(0o644, "data", 4)),
            (
                "/srv/link",
                Kind::Symlink {
                    target: "../nowhere".into(),
                },
            ),
            ("/srv/open", Kind::Folder { mode: 0o1777 }),
            ("/srv/open/tool", file(0o755, "open/tool", 1)),
        ];
        let expected = expected.map(|(path, kind)| (PathBuf::from(path), kind));
        assert_eq!(found, expected);
        // At the root, the folder itself is no entry; named itself, a link is followed.
        assert_eq!(added(folder.path(), "/").unwrap().len(), 4);
        let link = folder.path().with_extension("link");
        symlink(folder.path(), &link).unwrap();
        assert_eq!(added(&link, "/srv").unwrap().len(), 5);
        fs::remove_file(link).unwrap();
    }

    #[test]
    fn what_an_image_cannot_hold_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |host: &Path, guest: &str| added(host, guest).unwrap_err().to_string();
        assert!(refused(Path::new("/dev/null"), "/null").contains("/dev/null is a device"));
        let socket = folder.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        assert!(refused(folder.path(), "/srv").contains("socket"));
        fs::remove_file(&socket).unwrap();
        fs::write(folder.path().join(".wh.x"), "").unwrap();
        assert!(refused(folder.path(), "/srv").contains(".wh."));
        let file = folder.path().join("f");
        fs::write(&file, "").unwrap();
        assert!(refused(&file, "/srv/").ends_with("such as /srv/f"));
        assert!(refused(&file, "/").contains("root"));
        assert!(refused(&folder.path().join("gone"), "/x").contains("gone"));
    }
}
