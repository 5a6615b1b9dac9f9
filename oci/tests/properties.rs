//! What holds for every `config.json`, not for examples alone.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use oci::spec::Spec;
use oci::{Wishes, Workload};
use proptest::prelude::*;
use serde_json::{Value, json};

const IMPORT_MODULES: &str = "io.containerd.wasm.import-modules";

/// Destinations as people and machines write them.
fn destination() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => "[ab]",
        1 => Just(".".to_owned()),
        1 => Just("..".to_owned()),
        1 => Just(String::new()),
        1 => "[ -~]{1,4}",
        1 => "\\PC{1,3}",
    ];
    let path = proptest::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"));
    (any::<bool>(), path).prop_map(|(absolute, path)| {
        let slash = if absolute { "/" } else { "" };
        format!("{slash}{path}")
    })
}

/// A mount, and whether it is a bind mount.
fn mount() -> impl Strategy<Value = (Value, bool)> {
    let kind = prop_oneof![
        Just((json!({"type": "bind"}), true)),
        Just((json!({"options": ["rbind", "ro"]}), true)),
        Just((json!({"type": "none", "options": ["ro", "bind"]}), true)),
        Just((json!({"type": "tmpfs"}), false)),
        Just((json!({"type": "proc", "options": ["nosuid"]}), false)),
        Just((json!({}), false)),
    ];
    (destination(), kind).prop_map(|(destination, (mut mount, is_bind))| {
        mount["destination"] = destination.into();
        mount["source"] = "/data".into();
        (mount, is_bind)
    })
}

fn workload(mounts: &[(Value, bool)]) -> oci::Result<Workload> {
    let mounts: Vec<_> = mounts.iter().map(|(mount, _)| mount).collect();
    let config = json!({
        "ociVersion": "1.0.0",
        "mounts": mounts,
        "process": {"cwd": "/", "args": ["a"], "user": {"uid": 0, "gid": 0}},
    });
    let spec: Spec = serde_json::from_value(config).expect("a spec");
    Workload::from_spec(&spec)
}

/// A second opinion of where a destination is.
fn resolved(destination: &str) -> PathBuf {
    let mut parts = Vec::new();
    for part in destination.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    Path::new("/").join(parts.join("/"))
}

proptest! {
    #[test]
    fn each_bind_mount_is_a_preopen_once(mounts in proptest::collection::vec(mount(), 0..8)) {
        let empty = mounts.iter().any(|(mount, _)| mount["destination"] == "");
        let workload = match workload(&mounts) {
            Ok(workload) => workload,
            Err(error) => {
                prop_assert!(empty, "{}", error);
                return Ok(());
            }
        };
        prop_assert!(!empty);
        let preopens: Vec<&Path> = workload.preopens.iter().map(oci::Preopen::path).collect();
        prop_assert_eq!(preopens[0], Path::new("/"));
        for path in &preopens {
            let mut parts = path.components();
            prop_assert_eq!(parts.next(), Some(Component::RootDir));
            prop_assert!(parts.all(|part| matches!(part, Component::Normal(_))));
        }
        let expected: BTreeSet<PathBuf> = mounts
            .iter()
            .filter(|(_, is_bind)| *is_bind)
            .map(|(mount, _)| resolved(mount["destination"].as_str().unwrap_or_default()))
            .filter(|path| !path.to_string_lossy().contains(':'))
            .chain([PathBuf::from("/")])
            .collect();
        // Sorted, so none twice, and a folder before what is in it.
        let expected: Vec<&Path> = expected.iter().map(PathBuf::as_path).collect();
        prop_assert_eq!(preopens, expected);
    }

    #[test]
    fn import_modules_are_as_written(
        modules in proptest::collection::btree_map(
            "[a-z0-9_.:-]{1,12}", "/[a-zA-Z0-9 =#ü/._-]{0,12}[a-z]", 1..6,
        ),
        space in "[ \t\n]{0,2}",
    ) {
        let entries: Vec<_> = modules
            .iter()
            .map(|(name, path)| format!("{space}{name}{space}={space}{path}{space}"))
            .collect();
        let wishes = wishes(IMPORT_MODULES, &entries.join(",")).expect("it is well formed");
        let found: Vec<_> = wishes
            .import_modules
            .iter()
            .map(|module| (module.name.clone(), module.path.to_str().unwrap().to_owned()))
            .collect();
        prop_assert_eq!(found, modules.into_iter().collect::<Vec<_>>());
    }

    /// Whatever is accepted has names that differ, and none is empty or WASI's.
    #[test]
    fn no_annotation_is_misread(value in "[ab=,/ .\\PC]{0,24}") {
        if let Ok(wishes) = wishes(IMPORT_MODULES, &value) {
            let names: BTreeSet<_> = wishes.import_modules.iter().map(|module| &module.name).collect();
            prop_assert_eq!(names.len(), value.split(',').count());
            for module in &wishes.import_modules {
                prop_assert!(!module.name.is_empty());
                prop_assert!(!module.path.as_os_str().is_empty());
                prop_assert_ne!(&*module.name, "wasi_snapshot_preview1");
            }
        }
    }

    /// What is imported comes before what imports it, or there is a circle.
    #[test]
    fn link_order_keeps_its_word(
        needs in proptest::collection::vec(proptest::collection::vec(0..8_usize, 0..4), 0..8),
    ) {
        let names: Vec<String> = (0..needs.len()).map(|index| index.to_string()).collect();
        let modules: Vec<(&str, Vec<String>)> = names
            .iter()
            .zip(&needs)
            .map(|(name, needs)| {
                let needs = needs.iter().map(ToString::to_string).collect();
                (name.as_str(), needs)
            })
            .collect();
        let needs_of = |name: &str| &modules.iter().find(|module| module.0 == name).unwrap().1;
        match oci::link_order(&modules) {
            Ok(order) => {
                let place = |name: &String| order.iter().position(|index| names[*index] == *name);
                prop_assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), modules.len());
                for name in &names {
                    for need in needs_of(name).iter().filter(|need| names.contains(need)) {
                        prop_assert!(place(need) < place(name));
                    }
                }
            }
            Err(cycle) => {
                prop_assert!(cycle.len() > 1);
                prop_assert_eq!(cycle.first(), cycle.last());
                for pair in cycle.windows(2) {
                    prop_assert!(needs_of(&pair[0]).contains(&pair[1]));
                }
            }
        }
    }
}

fn wishes(name: &str, value: &str) -> oci::Result<Wishes> {
    let annotations = HashMap::from([(name.to_owned(), value.to_owned())]);
    Wishes::from_annotations(Some(&annotations))
}
