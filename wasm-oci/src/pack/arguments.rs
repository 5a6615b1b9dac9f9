//! The forms of single arguments. An error is one sentence; clap says before
//! it which argument it is about.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use oci_spec::distribution::Reference;

/// The module name that the runtime itself provides.
const RESERVED: &str = "wasi_snapshot_preview1";

/// `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub name: String,
    pub value: String,
}

/// `HOST:GUEST`, a file or folder and its place in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    pub host: PathBuf,
    /// Absolute and normal.
    pub guest: PathBuf,
    /// Whether the guest path has a slash at its end, so means a folder.
    pub is_folder: bool,
}

/// `NAME=MOD.WASM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    pub name: String,
    pub file: PathBuf,
}

/// `OS/ARCH`, with `/VARIANT` if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match no_nul(text)?.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.into(),
                value: value.into(),
            }),
            _ => Err("it has to be NAME=VALUE".into()),
        }
    }
}

impl FromStr for Add {
    type Err = String;

    /// The guest's path begins at the last colon before a slash, as a path on
    /// the host may have colons.
    fn from_str(text: &str) -> Result<Self, String> {
        let at = text
            .rfind(":/")
            .or_else(|| text.rfind(':'))
            .filter(|at| *at > 0)
            .ok_or("it has to be HOST:GUEST, with an absolute path in the image")?;
        let guest = &text[at + 1..];
        Ok(Self {
            host: text[..at].into(),
            guest: guest_path(guest)?,
            is_folder: guest.ends_with('/'),
        })
    }
}

impl FromStr for Import {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = no_nul(text)?
            .split_once('=')
            .filter(|(name, file)| !name.is_empty() && !file.is_empty())
            .ok_or("it has to be NAME=MOD.WASM")?;
        if name == RESERVED {
            return Err(format!(
                "{file} can't have the name {RESERVED}, which is that of WASI's own functions"
            ));
        }
        // The name is a part of an annotation and of a file's name.
        if name.contains([',', '/']) || name.trim() != name || name.chars().any(char::is_control) {
            return Err(format!(
                "the name {name:?} can't be written into an image; it may have no comma, no slash, \
                 no control character, and no space at its ends"
            ));
        }
        Ok(Self {
            name: name.into(),
            file: file.into(),
        })
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_word = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            [os, architecture, ref rest @ ..] if rest.len() < 2 && parts.iter().all(is_word) => {
                Ok(Self {
                    os: os.into(),
                    architecture: architecture.into(),
                    variant: rest.first().copied().map(Into::into),
                })
            }
            _ => Err("it has to be OS/ARCH, such as wasi/wasm or linux/amd64".into()),
        }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant
            .iter()
            .try_for_each(|variant| write!(f, "/{variant}"))
    }
}

/// An image name as Docker reads it: what it leaves out is filled in.
pub fn reference(text: &str) -> Result<Reference, String> {
    let form = "it has to be a name such as localhost/app:1, in lower case but for the tag";
    let reference = text
        .is_ascii()
        .then(|| Reference::from_str(text).ok())
        .flatten()
        .ok_or(form)?;
    if reference.digest().is_some() {
        return Err("a digest follows from the content; leave it out".into());
    }
    Ok(reference)
}

/// A path in the image, made normal: no `.`, no slashes too many.
pub fn guest_path(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(no_nul(text)?);
    if !path.is_absolute() {
        return Err(format!(
            "{text:?} is no absolute path in the image; begin it with a slash"
        ));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(format!(
            "{text:?} leads up with `..`; write the path that is meant"
        ));
    }
    Ok(path.components().collect())
}

fn no_nul(text: &str) -> Result<&str, String> {
    match text.contains('\0') {
        true => Err("it has a NUL character".into()),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        let pair: Pair = "A=b=c".parse().unwrap();
        assert_eq!((pair.name.as_str(), pair.value.as_str()), ("A", "b=c"));
        assert_eq!("A=".parse::<Pair>().unwrap().value, "");
        for bad in ["A", "=b", ""] {
            assert!(bad.parse::<Pair>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_colon_before_a_slash_splits() {
        let add: Add = "c:/host:with:/a//./b/".parse().unwrap();
        assert_eq!(add.host, Path::new("c:/host:with"));
        assert_eq!(add.guest.to_str(), Some("/a/b"));
        assert!(add.is_folder);
        assert_eq!("d:/".parse::<Add>().unwrap().guest, Path::new("/"));
        for (bad, part) in [
            ("d:relative", "absolute"),
            ("d:/a/../b", "`..`"),
            ("d", "HOST:GUEST"),
            (":/d", "HOST:GUEST"),
        ] {
            let error = bad.parse::<Add>().unwrap_err();
            assert!(error.contains(part), "{bad}: {error}");
        }
    }

    #[test]
    fn import_names_fit_into_the_annotation() {
        let import: Import = "env=a=b.wasm".parse().unwrap();
        assert_eq!(import.name, "env");
        assert_eq!(import.file, Path::new("a=b.wasm"));
        for (bad, part) in [
            ("wasi_snapshot_preview1=x.wasm", "WASI"),
            ("a/b=x.wasm", "slash"),
            ("a,b=x.wasm", "comma"),
            (" a=x.wasm", "space"),
            ("a=", "NAME=MOD.WASM"),
            ("a", "NAME=MOD.WASM"),
        ] {
            let error = bad.parse::<Import>().unwrap_err();
            assert!(error.contains(part), "{bad}: {error}");
        }
    }

    #[test]
    fn platforms() {
        for good in ["wasi/wasm", "linux/arm/v7"] {
            assert_eq!(good.parse::<Platform>().unwrap().to_string(), good);
        }
        for bad in ["wasi", "wasi/", "a/b/c/d", "a /b", ""] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_dockers() {
        let full = |text| reference(text).unwrap().whole();
        assert_eq!(full("app"), "docker.io/library/app:latest");
        assert_eq!(full("localhost/app:1"), "localhost/app:1");
        let digest = format!("a@sha256:{}", "0".repeat(64));
        for bad in ["App", "a:ü", "", "a b", &digest] {
            assert!(reference(bad).is_err(), "{bad}");
        }
    }
}
