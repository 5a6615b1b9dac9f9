//! Any `config.json`, through all that is read from it.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use oci::spec::Spec;
use oci::{Bundle, Workload};

fuzz_target!(|json: &[u8]| {
    let Ok(spec) = serde_json::from_slice::<Spec>(json) else {
        return;
    };
    // Paths of a container, in the kernel's own words for its mounts.
    let mountinfo: String = spec
        .mounts()
        .iter()
        .flatten()
        .map(|mount| {
            format!(
                "1 1 0:1 / {} rw - proc proc rw\n",
                mount.destination().display()
            )
        })
        .collect();
    oci::host_views(&mountinfo, &spec);
    if let Ok(workload) = Workload::from_spec(&spec) {
        assert!(workload.cwd.is_absolute());
        for candidate in workload.candidates() {
            assert!(candidate.path.is_absolute());
            assert!(!workload.wasi_args(&candidate).is_empty());
            workload.function(&candidate);
        }
        assert_eq!(workload.preopens[0].path(), Path::new("/"));
        assert!(workload.variable("PWD").is_some() || !workload.wasi_environ().is_empty());
    }
    let bundle = Bundle {
        path: "/bundle".into(),
        spec,
    };
    let _ = bundle.rootfs().map(|root| assert!(root.is_absolute()));
    let _ = (
        bundle.group(),
        bundle.cgroups_path(),
        bundle.has_own_mounts(),
    );
    bundle.has_poststop_hooks();
});
