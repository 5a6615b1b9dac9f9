use std::collections::HashMap;

use crate::imports::{self, ImportModule};
use crate::{Error, Result};

/// Names the function to begin at, if the program's name does not.
pub const ENTRYPOINT: &str = "io.containerd.wasm.entrypoint";
/// Lists the modules that others can import from.
pub const IMPORT_MODULES: &str = "io.containerd.wasm.import-modules";

/// What a container's annotations ask of this runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The function to begin at.
    pub entrypoint: Option<String>,
    /// The modules that are there to be imported from, names all different.
    pub import_modules: Vec<ImportModule>,
}

impl Wishes {
    /// `annotations`: those of `config.json`; all others are not for us.
    pub fn from_annotations(annotations: Option<&HashMap<String, String>>) -> Result<Self> {
        let get = |name: &str| annotations?.get(name).map(String::as_str);
        let entrypoint = get(ENTRYPOINT).map(entrypoint).transpose()?;
        let import_modules = get(IMPORT_MODULES)
            .map(imports::parse)
            .transpose()
            .map_err(|problem| Error::Annotation {
                name: IMPORT_MODULES,
                problem,
            })?
            .unwrap_or_default();
        Ok(Self {
            entrypoint,
            import_modules,
        })
    }
}

fn entrypoint(value: &str) -> Result<String> {
    if value.is_empty() {
        return Err(Error::Annotation {
            name: ENTRYPOINT,
            problem: "it is empty; give the name of an exported function, or leave it out".into(),
        });
    }
    Ok(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(annotations: &[(&str, &str)]) -> Result<Wishes> {
        let annotations = annotations
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        Wishes::from_annotations(Some(&annotations))
    }

    #[test]
    fn nothing_is_asked_by_default() {
        assert_eq!(Wishes::from_annotations(None).unwrap(), Wishes::default());
        let others = wishes(&[("io.kubernetes.cri.sandbox-id", "pod")]).unwrap();
        assert_eq!(others, Wishes::default());
    }

    #[test]
    fn the_entrypoint_is_a_name_as_it_stands() {
        let named = wishes(&[(ENTRYPOINT, "wasi:cli/run#run")]).unwrap();
        assert_eq!(named.entrypoint.as_deref(), Some("wasi:cli/run#run"));
        assert!(named.import_modules.is_empty());
        let error = wishes(&[(ENTRYPOINT, "")]).unwrap_err().to_string();
        assert!(error.contains(ENTRYPOINT), "{error}");
    }

    #[test]
    fn import_modules_are_listed() {
        let listed = wishes(&[(IMPORT_MODULES, "a=/a.wasm,b=/b.wasm")]).unwrap();
        assert_eq!(listed.import_modules.len(), 2);
        let error = wishes(&[(IMPORT_MODULES, "a")]).unwrap_err().to_string();
        assert!(error.contains(IMPORT_MODULES), "{error}");
    }
}
