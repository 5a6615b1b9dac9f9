use oci_spec::image::{Descriptor, DigestAlgorithm, ImageIndex, ImageManifest, MediaType};

use crate::imports::RESERVED;

/// The most modules of one image; each is a descriptor on its way to the guest.
pub const MAX_MODULES: usize = 32;
/// The most bytes that all modules of one image may have: they are in memory
/// until the container is created.
pub const MAX_BYTES: u64 = 512 << 20;
/// The longest manifest or index in bytes, as for containerd itself.
pub const MAX_MANIFEST: u64 = 8 << 20;

/// The layers that are modules: of the CNCF's artifacts, and of what runwasi's
/// tools make.
const MODULE_TYPES: [&str; 3] = [
    "application/wasm",
    "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
];
/// The configuration of the CNCF's artifacts (TAG Runtime, "Wasm OCI Artifact
/// layout").
const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// How the types of layers begin that make up a root file system.
const FILE_SYSTEM_TYPES: [&str; 2] = [
    "application/vnd.oci.image.layer.",
    "application/vnd.docker.image.rootfs.",
];
/// What a layer is called (OCI image spec, "annotations.md").
const TITLE: &str = "org.opencontainers.image.title";
/// As for a file's name.
const MAX_TITLE: usize = 255;

/// A layer of an image that is a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleLayer {
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// Its title, or `layer N` if it has none; for messages.
    pub shown: String,
    /// What others import from it by; empty for the first, which is the program.
    pub name: String,
}

/// Whether a descriptor of this media type leads to several manifests.
pub fn is_index(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json"
    )
}

/// The digest of the manifest to take from an index: that for WebAssembly, or
/// the only one. An error is the end of a sentence.
pub fn manifest_of(index: &[u8]) -> Result<Option<String>, String> {
    let index = ImageIndex::from_reader(index)
        .map_err(|error| format!("its index can't be understood: {error}"))?;
    let manifests = index.manifests();
    let is_for = |descriptor: &Descriptor, wanted: Option<&str>| {
        descriptor.platform().as_ref().is_some_and(|platform| {
            platform.architecture().to_string() == "wasm"
                && wanted.is_none_or(|os| platform.os().to_string() == os)
        })
    };
    let best = [Some("wasip1"), Some("wasi"), None]
        .into_iter()
        .find_map(|os| manifests.iter().find(|manifest| is_for(manifest, os)));
    let only = match &manifests[..] {
        [only] => Some(only),
        _ => None,
    };
    best.or(only).map(digest).transpose()
}

/// The modules of an image, the program first; `None` for an ordinary image,
/// which has a file system and no such layers. An error is the end of a sentence.
pub fn modules(manifest: &[u8]) -> Result<Option<Vec<ModuleLayer>>, String> {
    let manifest = ImageManifest::from_reader(manifest)
        .map_err(|error| format!("its manifest can't be understood: {error}"))?;
    let is_module = |layer: &Descriptor| MODULE_TYPES.contains(&media_type(layer).as_str());
    let is_artifact = media_type(manifest.config()) == WASM_CONFIG;
    if !is_artifact && !manifest.layers().iter().any(is_module) {
        return Ok(None);
    }
    let mut modules: Vec<ModuleLayer> = Vec::new();
    for (index, layer) in manifest.layers().iter().enumerate() {
        let kind = media_type(layer);
        if is_module(layer) {
            let module = module(layer, index, modules.is_empty())?;
            check_name(&module, &modules)?;
            modules.push(module);
        } else if !FILE_SYSTEM_TYPES.iter().any(|name| kind.starts_with(name)) {
            return Err(format!(
                "layer {} is of type {kind:?}, which is no WebAssembly module",
                index + 1
            ));
        }
        check_size(&modules)?;
    }
    match modules.is_empty() {
        true => Err("it has no layer that is a WebAssembly module".into()),
        false => Ok(Some(modules)),
    }
}

fn module(layer: &Descriptor, index: usize, is_program: bool) -> Result<ModuleLayer, String> {
    let number = index + 1;
    let annotations = layer.annotations().as_ref();
    let title = annotations.and_then(|annotations| annotations.get(TITLE));
    let is_usable = |title: &&String| {
        !title.is_empty() && title.len() <= MAX_TITLE && !title.chars().any(char::is_control)
    };
    let name = match title {
        _ if is_program => String::new(),
        Some(title) => link_name(title).to_owned(),
        None => {
            return Err(format!(
                "layer {number} has no title (annotation {TITLE}), \
                 so that no module can import from it"
            ));
        }
    };
    if title.is_some_and(|title| !is_usable(&title)) || !is_program && name.is_empty() {
        return Err(format!(
            "the title of layer {number} can't be used as a name: {:.80?}",
            title.map(String::as_str).unwrap_or_default()
        ));
    }
    Ok(ModuleLayer {
        digest: digest(layer)?,
        size: layer.size(),
        shown: title.cloned().unwrap_or_else(|| format!("layer {number}")),
        name,
    })
}

/// `lib/NAME.wasm`, as tools that push files write it, stands for `NAME`.
fn link_name(title: &str) -> &str {
    let file = title.rsplit('/').next().unwrap_or_default();
    file.strip_suffix(".wasm").unwrap_or(file)
}

fn check_name(module: &ModuleLayer, earlier: &[ModuleLayer]) -> Result<(), String> {
    let (shown, name) = (&module.shown, &module.name);
    if name == RESERVED {
        return Err(format!(
            "{shown:?} can't have the name {name:?}, which is that of WASI's own functions"
        ));
    }
    match earlier.iter().skip(1).find(|other| other.name == *name) {
        Some(other) => Err(format!(
            "{:?} and {shown:?} both have the name {name:?}",
            other.shown
        )),
        None => Ok(()),
    }
}

fn check_size(modules: &[ModuleLayer]) -> Result<(), String> {
    if modules.len() > MAX_MODULES {
        return Err(format!("it has more than {MAX_MODULES} modules"));
    }
    let sizes = modules.iter().map(|module| module.size);
    match sizes.fold(0, u64::saturating_add) {
        bytes if bytes > MAX_BYTES => Err(format!(
            "its modules have more than {} MiB in all",
            MAX_BYTES >> 20
        )),
        _ => Ok(()),
    }
}

fn media_type(descriptor: &Descriptor) -> String {
    match descriptor.media_type() {
        MediaType::Other(name) => name.clone(),
        known => known.to_string(),
    }
}

/// containerd's content is addressed by SHA-256; the rest are never met.
fn digest(descriptor: &Descriptor) -> Result<String, String> {
    let digest = descriptor.digest();
    match digest.algorithm() {
        DigestAlgorithm::Sha256 => Ok(digest.to_string()),
        other => Err(format!(
            "a digest is made with {other}, and not with sha256"
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

    fn blob(kind: &str, digit: u8) -> Value {
        let digest = format!("sha256:{}", digit.to_string().repeat(64));
        json!({"mediaType": kind, "digest": digest, "size": 10})
    }

    fn titled(kind: &str, digit: u8, title: &str) -> Value {
        let mut layer = blob(kind, digit);
        layer["annotations"] = json!({TITLE: title});
        layer
    }

    fn of(config: &str, layers: &[Value]) -> Result<Option<Vec<ModuleLayer>>, String> {
        let manifest = json!({
            "schemaVersion": 2, "config": blob(config, 0), "layers": layers,
        });
        modules(manifest.to_string().as_bytes())
    }

    fn refused(layers: &[Value], word: &str) {
        let error = of(WASM_CONFIG, layers).unwrap_err();
        assert!(error.contains(word), "{error}");
    }

    #[test]
    fn the_first_is_the_program_and_the_others_have_names() {
        for kind in MODULE_TYPES {
            for config in [WASM_CONFIG, OCI_CONFIG] {
                let layers = [
                    blob(kind, 1),
                    titled(kind, 2, "math.wasm"),
                    titled(kind, 3, "./build/greeter"),
                ];
                let modules = of(config, &layers).unwrap().unwrap();
                let names: Vec<_> = modules.iter().map(|one| one.name.as_str()).collect();
                assert_eq!(names, ["", "math", "greeter"]);
                let shown: Vec<_> = modules.iter().map(|one| one.shown.as_str()).collect();
                assert_eq!(shown, ["layer 1", "math.wasm", "./build/greeter"]);
                assert_eq!(modules[1].digest, format!("sha256:{}", "2".repeat(64)));
                assert_eq!(modules[1].size, 10);
            }
        }
    }

    #[test]
    fn an_ordinary_image_has_none() {
        assert_eq!(of(OCI_CONFIG, &[blob(OCI_LAYER, 1)]), Ok(None));
        assert_eq!(of(OCI_CONFIG, &[]), Ok(None));
        let other = "application/vnd.in-toto+json";
        assert_eq!(of(OCI_CONFIG, &[blob(other, 1)]), Ok(None));
    }

    #[test]
    fn a_file_system_beside_the_modules_is_not_theirs() {
        let layers = [blob(OCI_LAYER, 1), titled(MODULE_TYPES[0], 2, "app.wasm")];
        let modules = of(OCI_CONFIG, &layers).unwrap().unwrap();
        assert_eq!(modules.len(), 1);
        assert_eq!(modules[0].shown, "app.wasm");
    }

    #[test]
    fn what_is_no_module_is_named() {
        let wasm = MODULE_TYPES[0];
        refused(&[], "no layer");
        refused(&[blob(OCI_LAYER, 1)], "no layer");
        refused(&[blob(wasm, 1), blob("text/plain", 2)], "\"text/plain\"");
        refused(&[blob(wasm, 1), blob(wasm, 2)], "layer 2 has no title");
    }

    #[test]
    fn names_are_checked() {
        let wasm = MODULE_TYPES[0];
        let with = |titles: &[&str]| -> Vec<Value> {
            let imports = titles.iter().map(|title| titled(wasm, 2, title));
            std::iter::once(titled(wasm, 1, "a.wasm"))
                .chain(imports)
                .collect()
        };
        // The program has no name to clash with.
        assert!(of(WASM_CONFIG, &with(&["a.wasm"])).is_ok());
        refused(&with(&["x/b.wasm", "b"]), "\"x/b.wasm\" and \"b\"");
        refused(&with(&["wasi_snapshot_preview1.wasm"]), "WASI");
        for title in ["", "a/", ".wasm", "a\nb", &"x".repeat(256)] {
            refused(&with(&[title]), "title of layer 2");
        }
        refused(&[titled(wasm, 1, "a\u{1b}b")], "title of layer 1");
    }

    #[test]
    fn there_are_limits() {
        let layer = |number: usize| titled(MODULE_TYPES[0], 1, &format!("m{number}"));
        let most: Vec<_> = (0..MAX_MODULES).map(layer).collect();
        assert!(of(WASM_CONFIG, &most).is_ok());
        let more: Vec<_> = (0..=MAX_MODULES).map(layer).collect();
        refused(&more, "more than 32");
        let mut large = [layer(1), layer(2)];
        large[0]["size"] = MAX_BYTES.into();
        refused(&large, "more than 512 MiB");
        // Sizes that wrap around are not small.
        large[1]["size"] = (u64::MAX - 9).into();
        large[0]["size"] = 10.into();
        refused(&large, "more than 512 MiB");
    }

    #[test]
    fn other_digests_are_refused() {
        let mut layer = blob(MODULE_TYPES[0], 1);
        layer["digest"] = format!("sha512:{}", "1".repeat(128)).into();
        refused(&[layer.clone()], "sha512");
        layer["digest"] = "sha256:../../../etc/passwd".into();
        refused(&[layer], "can't be understood");
    }

    #[test]
    fn garbage_is_an_error() {
        for bytes in [&b""[..], b"{", b"[]", b"\0asm"] {
            assert!(modules(bytes).is_err());
            assert!(manifest_of(bytes).is_err());
        }
    }

    #[test]
    fn an_index_gives_the_one_for_wasm() {
        let manifest = |digit, platform: &str| {
            let mut manifest = blob("application/vnd.oci.image.manifest.v1+json", digit);
            if let Some((os, architecture)) = platform.split_once('/') {
                manifest["platform"] = json!({"os": os, "architecture": architecture});
            }
            manifest
        };
        let of = |manifests: &[Value]| {
            let index = json!({"schemaVersion": 2, "manifests": manifests});
            manifest_of(index.to_string().as_bytes()).unwrap()
        };
        let digest = |digit: u8| Some(format!("sha256:{}", digit.to_string().repeat(64)));
        let linux = manifest(1, "linux/amd64");
        let wasi = manifest(2, "wasi/wasm");
        let wasip1 = manifest(3, "wasip1/wasm");
        assert_eq!(of(&[linux.clone(), wasi.clone(), wasip1]), digest(3));
        assert_eq!(of(&[linux.clone(), wasi]), digest(2));
        assert_eq!(of(&[linux.clone(), manifest(4, "js/wasm")]), digest(4));
        assert_eq!(of(&[manifest(5, "")]), digest(5));
        assert_eq!(of(&[linux, manifest(5, "")]), None);
        assert_eq!(of(&[]), None);
    }

    proptest::proptest! {
        /// Whatever the titles: an error, or the program and names all different,
        /// each taken from its layer's title.
        #[test]
        fn names_are_unique_whatever_the_titles(titles in proptest::collection::vec("[a-c./]{0,6}", 0..6)) {
            let layers: Vec<Value> = std::iter::once(blob(MODULE_TYPES[0], 1))
                .chain(titles.iter().map(|title| titled(MODULE_TYPES[0], 2, title)))
                .collect();
            if let Ok(Some(modules)) = of(WASM_CONFIG, &layers) {
                proptest::prop_assert_eq!(modules.len(), titles.len() + 1);
                let names: std::collections::HashSet<_> = modules.iter().map(|one| &one.name).collect();
                proptest::prop_assert_eq!(names.len(), modules.len());
                for (module, title) in modules[1..].iter().zip(&titles) {
                    proptest::prop_assert!(!module.name.contains('/') && title.contains(&module.name));
                }
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = (modules(&bytes), manifest_of(&bytes));
        }
    }
}
