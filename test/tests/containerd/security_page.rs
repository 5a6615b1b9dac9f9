//! SECURITY.md names the tests that stand for what it says.

use std::fs;
use std::path::Path;

use shim_test::paths;

use crate::suite::Once;

pub const ONCE: &[Once] = &[("security_page_names_tests", security_page_names_tests)];

/// Each name in the last column of a table is a test's or a fuzz target's, or a
/// folder's of tests.
fn security_page_names_tests(_: &Path) {
    let root = paths::workspace();
    let page = fs::read_to_string(root.join("SECURITY.md")).expect("SECURITY.md");
    let tests = sources(&root.join("test/tests"));
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let mut names = 0;
    for row in rows {
        let cell = row.trim_end_matches([' ', '|']).rsplit(" | ").next();
        for name in cell.unwrap_or_default().split('`').skip(1).step_by(2) {
            let is_test = tests.contains(&format!("fn {name}(case: &"));
            let is_target = root.join(format!("fuzz/src/{name}.rs")).exists();
            let is_place = name.contains('/') || name == "wasm-oci";
            assert!(
                is_test || is_target || is_place && root.join(name).exists(),
                "SECURITY.md names `{name}`, which is no test"
            );
            names += 1;
        }
    }
    assert!(names > 40, "only {names} names were found");
}

/// All Rust sources below a folder.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).expect("a folder of the sources");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" => fs::read_to_string(&path).expect("a source"),
            _ => String::new(),
        })
        .collect()
}
