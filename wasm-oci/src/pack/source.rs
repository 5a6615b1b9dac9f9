//! The modules to pack, read and checked as far as can be without running them.

use std::fs;
use std::path::{Path, PathBuf};

use oci::Format;

use super::arguments::Import;
use crate::error::{Error, Result};
use crate::module::Module;

/// The function that a program begins at (WASI preview 1, "command").
const START: &str = "_start";

/// How many exports an error lists; a library may have thousands.
const LISTED: usize = 20;

/// A module with its bytes.
#[derive(Debug)]
pub struct Source {
    /// What it is called in the image: the file's name, or the import's name
    /// with `.wasm`.
    pub name: String,
    pub file: PathBuf,
    pub bytes: Vec<u8>,
}

/// The module to run.
pub fn entry(file: &Path) -> Result<(Source, Module)> {
    load(name(file)?, file)
}

/// A program for Linux to run instead.
pub fn native(file: &Path) -> Result<Source> {
    let (name, bytes) = (name(file)?, read(file)?);
    match Format::of(&bytes) {
        Format::Native => Ok(Source {
            name,
            file: file.into(),
            bytes,
        }),
        _ => Err(Error::NotNative(file.into())),
    }
}

fn name(file: &Path) -> Result<String> {
    file.file_name()
        .and_then(|name| name.to_str())
        .filter(|name| !name.chars().any(char::is_control))
        .map(Into::into)
        .ok_or_else(|| Error::ModuleName(file.into()))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|source| Error::Read {
        path: file.into(),
        source,
    })
}

/// The import modules in the order given, each with the name it is imported by.
pub fn imports(imports: &[Import]) -> Result<Vec<(String, Source)>> {
    for (index, import) in imports.iter().enumerate() {
        let earlier = imports[..index].iter();
        if let Some(first) = earlier.into_iter().find(|first| first.name == import.name) {
            return Err(Error::DuplicateImport {
                name: import.name.clone(),
                first: first.file.clone(),
                second: import.file.clone(),
            });
        }
    }
    imports
        .iter()
        .map(|import| {
            let (source, _) = load(format!("{}.wasm", import.name), &import.file)?;
            Ok((import.name.clone(), source))
        })
        .collect()
}

fn load(name: String, file: &Path) -> Result<(Source, Module)> {
    let bytes = read(file)?;
    match Format::of(&bytes) {
        Format::Module => {}
        Format::Component => return Err(Error::Component(file.into())),
        Format::UnknownWasm | Format::Native | Format::Unknown => {
            return Err(Error::NotWasm(file.into()));
        }
    }
    let module = Module::parse(&bytes).map_err(|reason| Error::Malformed {
        path: file.into(),
        reason,
    })?;
    let source = Source {
        name,
        file: file.into(),
        bytes,
    };
    Ok((source, module))
}

/// Refuses a module without the function to begin at.
pub fn check_entrypoint(module: &Module, file: &Path, function: Option<&str>) -> Result<()> {
    let function = function.unwrap_or(START);
    let export = module.function(function).ok_or_else(|| Error::NoFunction {
        path: file.into(),
        function: function.into(),
        exports: list(module),
    })?;
    match export.arity {
        Some((0, 0)) => Ok(()),
        Some((parameters, results)) => Err(Error::NotCallable {
            path: file.into(),
            function: function.into(),
            parameters,
            results,
        }),
        None => Err(Error::Malformed {
            path: file.into(),
            reason: format!("it exports a function {function:?} that it does not have"),
        }),
    }
}

/// The functions that could be meant, for people.
fn list(module: &Module) -> String {
    let names: Vec<String> = module
        .functions()
        .filter(|export| export.arity == Some((0, 0)))
        .map(|export| format!("{:?}", export.name))
        .collect();
    match names.len() {
        0 => "none that could be called".into(),
        more if more > LISTED => {
            format!("{} and {} more", names[..LISTED].join(", "), more - LISTED)
        }
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::tests::SMALL;

    fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn what_cannot_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes, part) in [
            ("component", &b"\0asm\x0d\0\x01\0"[..], "wasip1"),
            ("future", b"\0asm\x02\0\0\0", "version 1"),
            ("script", b"#!/bin/sh", "\\0asm"),
            ("empty", b"", "\\0asm"),
            ("cut", &SMALL[..40], "malformed"),
        ] {
            let path = file(folder.path(), name, bytes);
            let error = entry(&path).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(name), "{error}");
        }
        let error = entry(&folder.path().join("gone")).unwrap_err();
        assert!(error.to_string().contains("gone"));
    }

    #[test]
    fn the_entrypoint_is_a_function_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "app.wasm", SMALL);
        let (source, module) = entry(&path).unwrap();
        assert_eq!(source.name, "app.wasm");
        check_entrypoint(&module, &path, None).unwrap();
        check_entrypoint(&module, &path, Some("_start")).unwrap();
        for (function, part) in [
            ("add", "2 parameters and 1 results"),
            ("memory", "it exports \"_start\""),
            ("gone", "it exports \"_start\""),
        ] {
            let error = check_entrypoint(&module, &path, Some(function)).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(part) && error.contains(function), "{error}");
        }
    }

    #[test]
    fn a_name_for_two_modules_names_both() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "one.wasm", SMALL);
        let import = |text: &str| text.parse::<Import>().unwrap();
        let one = import(&format!("env={}", path.display()));
        let found = imports(std::slice::from_ref(&one)).unwrap();
        assert_eq!(
            (found[0].0.as_str(), &found[0].1.name[..]),
            ("env", "env.wasm")
        );
        let error = imports(&[one, import("env=two.wasm")]).unwrap_err();
        for part in ["one.wasm", "two.wasm", "\"env\""] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
