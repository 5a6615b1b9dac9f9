use std::collections::HashMap;

use crate::imports::{self, ImportModule};
use crate::{Error, Result};

/// Names the function to begin at, if the program's name does not.
pub const ENTRYPOINT: &str = "io.containerd.wasm.entrypoint";
/// Lists the modules that others can import from.
pub const IMPORT_MODULES: &str = "io.containerd.wasm.import-modules";
/// Names the artifact, in containerd's image store, whose modules to run.
pub const ARTIFACT: &str = "io.containerd.wasm.artifact";

/// crun's annotations, which people have on their pods, and their values:
/// whether all programs are to be WebAssembly. The first that is set wins.
const HANDLERS: [(&str, [(&str, bool); 2]); 2] = [
    ("run.oci.handler", [("wasm", true), ("wasm-smart", false)]),
    (
        "module.wasm.image/variant",
        [("compat", true), ("compat-smart", false)],
    ),
];

/// Tells a pod's sandbox from its containers; not there outside of pods.
pub(crate) const CONTAINER_TYPE: &str = "io.kubernetes.cri.container-type";
pub(crate) const SANDBOX: &str = "sandbox";

/// What a container's annotations ask of this runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The function to begin at.
    pub entrypoint: Option<String>,
    /// The modules that are there to be imported from, names all different.
    pub import_modules: Vec<ImportModule>,
    /// The name of the artifact to run, for clients that make containers of
    /// ordinary images alone.
    pub artifact: Option<String>,
    /// The annotation that asks for a program that is WebAssembly, as
    /// `name=value`.
    pub only_wasm: Option<String>,
}

impl Wishes {
    /// `annotations`: those of `config.json`; all others are not for us.
    pub fn from_annotations(annotations: Option<&HashMap<String, String>>) -> Result<Self> {
        let get = |name: &str| Some(annotations?.get(name)?.as_str());
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
            artifact: artifact(get)?,
            only_wasm: only_wasm(get)?,
        })
    }
}

/// The annotations of a pod come to its sandbox too, which runs the pause
/// program whatever the pod is made of.
fn only_wasm<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Option<String>> {
    if get(CONTAINER_TYPE) == Some(SANDBOX) {
        return Ok(None);
    }
    let set = HANDLERS
        .iter()
        .find_map(|(name, values)| Some((*name, values, get(name)?)));
    let Some((name, values, value)) = set else {
        return Ok(None);
    };
    match values.iter().find(|(known, _)| *known == value) {
        Some((_, true)) => Ok(Some(format!("{name}={value}"))),
        Some((_, false)) => Ok(None),
        None => Err(Error::Annotation {
            name,
            problem: format!(
                "{value:?} is not {:?} or {:?}, which are what this runtime has",
                values[0].0, values[1].0
            ),
        }),
    }
}

/// Kubernetes checks who may use an image by the container's `image` field,
/// which the annotation would go around.
fn artifact<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Option<String>> {
    let problem = match (get(ARTIFACT), get(CONTAINER_TYPE)) {
        (None, _) | (_, Some(SANDBOX)) => return Ok(None),
        (Some(""), _) => "it is empty; give the name of an image of containerd's",
        (Some(_), Some(_)) => "in a pod, name the artifact as the container's image",
        (Some(name), None) => return Ok(Some(name.into())),
    };
    Err(Error::Annotation {
        name: ARTIFACT,
        problem: problem.into(),
    })
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

    #[test]
    fn an_artifact_is_named_outside_of_pods() {
        let name = "localhost/app:1";
        let named = wishes(&[(ARTIFACT, name)]).unwrap();
        assert_eq!(named.artifact.as_deref(), Some(name));
        let sandbox = wishes(&[(ARTIFACT, name), (CONTAINER_TYPE, "sandbox")]).unwrap();
        assert_eq!(sandbox.artifact, None);
        for refused in [
            &[(ARTIFACT, "")][..],
            &[(ARTIFACT, name), (CONTAINER_TYPE, "container")],
        ] {
            let error = wishes(refused).unwrap_err().to_string();
            assert!(error.contains(ARTIFACT), "{error}");
        }
    }

    #[test]
    fn strict_handlers_want_wasm_and_smart_ones_do_not_mind() {
        let only_wasm = |annotations: &[(&str, &str)]| wishes(annotations).unwrap().only_wasm;
        let (handler, variant) = ("run.oci.handler", "module.wasm.image/variant");
        let strict = only_wasm(&[(handler, "wasm")]);
        assert_eq!(strict.as_deref(), Some("run.oci.handler=wasm"));
        let strict = only_wasm(&[(variant, "compat")]);
        assert_eq!(strict.as_deref(), Some("module.wasm.image/variant=compat"));
        assert_eq!(only_wasm(&[(handler, "wasm-smart")]), None);
        assert_eq!(only_wasm(&[(variant, "compat-smart")]), None);
        // As in crun, the handler wins.
        assert_eq!(
            only_wasm(&[(handler, "wasm-smart"), (variant, "compat")]),
            None
        );
        // A pod's sandbox is never WebAssembly.
        assert_eq!(
            only_wasm(&[(handler, "wasm"), (CONTAINER_TYPE, "sandbox")]),
            None
        );
        assert!(only_wasm(&[(handler, "wasm"), (CONTAINER_TYPE, "container")]).is_some());
    }

    #[test]
    fn other_handlers_are_not_ours() {
        for (name, value) in [
            ("run.oci.handler", "krun"),
            ("module.wasm.image/variant", ""),
        ] {
            let error = wishes(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
            wishes(&[(name, value), (CONTAINER_TYPE, "sandbox")]).unwrap();
        }
    }
}
