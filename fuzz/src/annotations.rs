//! Any annotations: lines of a name's number and a value.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use oci::Wishes;

const NAMES: [&str; 6] = [
    "io.containerd.wasm.import-modules",
    "io.containerd.wasm.entrypoint",
    "run.oci.handler",
    "module.wasm.image/variant",
    "io.kubernetes.cri.container-type",
    "io.containerd.wasm.artifact",
];

fuzz_target!(|text: &str| {
    let annotations: HashMap<String, String> = text
        .split('\n')
        .filter_map(|line| {
            let number = line.bytes().next()?;
            let name = NAMES[usize::from(number) % NAMES.len()];
            Some((name.to_owned(), line.get(1..)?.to_owned()))
        })
        .collect();
    let Ok(wishes) = Wishes::from_annotations(Some(&annotations)) else {
        return;
    };
    // Each imports from those that its path names.
    let modules: Vec<(&str, Vec<String>)> = wishes
        .import_modules
        .iter()
        .map(|module| {
            let path = module.path.to_string_lossy();
            let needs = path.split('/').map(str::to_owned).collect();
            (module.name.as_str(), needs)
        })
        .collect();
    match oci::link_order(&modules) {
        Ok(order) => assert_eq!(order.len(), modules.len()),
        Err(cycle) => assert!(cycle.len() > 1 && cycle.first() == cycle.last()),
    }
});
