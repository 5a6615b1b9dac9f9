//! What `make demo` and the README work with: an image of CPython, a script and
//! its input.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::entry::Entry;
use crate::image::Image;
use crate::paths;

pub const IMAGE: &str = "localhost/python:3.12";

pub const SCRIPT: &str = r#"
import os, platform, sys

with open("/inputs/names.txt") as file:
    names = file.read().split()
print(f"CPython {platform.python_version()} on {sys.platform} greets {len(names)} guests")
with open("/outputs/greetings.txt", "w") as file:
    for name in sorted(names):
        print(f"{os.environ['GREETING']}, {name}!", file=file)
print("wrote /outputs/greetings.txt")
"#;

/// Makes them anew in `target/demo`, which stays for the reader of the README.
pub fn prepare() -> PathBuf {
    let folder = paths::workspace().join("target/demo");
    drop(fs::remove_dir_all(folder.join("outputs")));
    for name in ["inputs", "outputs"] {
        fs::create_dir_all(folder.join(name)).expect("a folder of the demo");
    }
    fs::write(folder.join("inputs/hello.py"), SCRIPT).expect("the script");
    fs::write(folder.join("inputs/names.txt"), "Wasm Edge containerd\n").expect("the input");
    let entries = vec![Entry::copy(
        "/python.wasm",
        0o755,
        &paths::program("python.wasm"),
    )];
    Image::new(IMAGE, entries, json!({"Entrypoint": ["/python.wasm"]}))
        .for_platform("wasi", "wasm")
        .write(&folder.join("python.tar"));
    folder
}
