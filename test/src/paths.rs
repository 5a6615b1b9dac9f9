//! Where the parts of a test run are, and which runtime is under test.

use std::env;
use std::path::{Path, PathBuf};

/// The runtime under test when `TEST_RUNTIME` does not say otherwise.
pub const WASM: &str = "io.containerd.wasm.v1";

/// The runtime name to give to containerd.
pub fn runtime() -> String {
    env::var("TEST_RUNTIME").unwrap_or_else(|_| WASM.into())
}

/// Whether the runtime under test runs WebAssembly; else it is runc, to check
/// the suite itself.
pub fn runs_wasm() -> bool {
    runtime().contains("wasm")
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = manifest.canonicalize().unwrap_or_else(|_| manifest.into());
    manifest.parent().expect("test/ is in a workspace").into()
}

/// The installed tree under test: `bin/` and `lib/containerd-shim-wasm/`.
pub fn shim_tree() -> PathBuf {
    env::var_os("SHIM_TREE").map_or_else(|| workspace().join("target/dist"), PathBuf::from)
}

/// A guest built from `test/guests`.
pub fn guest(name: &str) -> PathBuf {
    existing(
        workspace().join("target/guests").join(name),
        "test/guests/build.sh",
    )
}

/// A real program fetched by `test/programs/fetch.sh`.
pub fn program(name: &str) -> PathBuf {
    existing(
        workspace().join("target/parts/programs").join(name),
        "test/programs/fetch.sh",
    )
}

/// An input or a known good output of the real programs.
pub fn fixture(name: &str) -> PathBuf {
    existing(workspace().join("test/programs").join(name), "git checkout")
}

fn existing(path: PathBuf, made_by: &str) -> PathBuf {
    assert!(
        path.exists(),
        "{} is missing: run {made_by}",
        path.display()
    );
    path
}
