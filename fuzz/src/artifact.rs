//! Any manifest, and any index, of an image.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use oci::artifact::{MAX_BYTES, MAX_MODULES, manifest_of, modules};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(digest)) = manifest_of(bytes) {
        check_digest(&digest);
    }
    let Ok(Some(modules)) = modules(bytes) else {
        return;
    };
    assert!((1..=MAX_MODULES).contains(&modules.len()));
    let size = modules.iter().map(|module| module.size);
    assert!(size.fold(0, u64::saturating_add) <= MAX_BYTES);
    let mut names = HashSet::new();
    for (index, module) in modules.iter().enumerate() {
        check_digest(&module.digest);
        assert!(names.insert(&module.name));
        assert_eq!(module.name.is_empty(), index == 0);
        assert!(!module.shown.is_empty() && !module.shown.chars().any(char::is_control));
        // Both go into one message of the shim's, as JSON.
        assert!(module.name.len() + module.shown.len() <= 510);
    }
});

/// It is asked of containerd and shown to people.
fn check_digest(digest: &str) {
    let hex = digest.strip_prefix("sha256:").expect("the one algorithm there is");
    assert!(hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
}
