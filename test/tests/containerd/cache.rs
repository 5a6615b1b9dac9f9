//! `wasm-oci precompile` and `wasm-oci cache`: native code before the first
//! start, and what a node has of it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use shim_test::case::Case;
use shim_test::command::{self, Output};
use shim_test::native_code::STORE;
use shim_test::{packer, wait};

use crate::aot::{LIMIT, code_of_sleeping, guest_of, guest_with};

crate::tests! {
    any: ;
    wasm: precompiled_image, precompiled_module, quick_code_that_was_left, pruned, mistakes_of_precompile
}

/// More than a module that is compiled well at once has, in bytes.
const LARGE: usize = 1 << 20;

fn wasm_oci(args: &[&str]) -> Output {
    let mut command = packer::command();
    command.args(args);
    command::output(command, LIMIT)
}

/// What `cache ls` says of the module whose hash begins so.
fn listed(hash: &str) -> Option<Value> {
    let text = wasm_oci(&["cache", "ls", "--json"]).success();
    let rows: Vec<Value> = serde_json::from_str(&text).expect("JSON of wasm-oci");
    let is_it = |row: &Value| {
        row["module"]
            .as_str()
            .is_some_and(|module| module.starts_with(hash))
    };
    rows.into_iter().find(is_it)
}

/// Precompiles what must be one module; returns its hash, and what is said of it.
fn precompile(file: &Path) -> (String, String) {
    let text = wasm_oci(&["precompile", &file.to_string_lossy()]).success();
    assert_eq!(text.lines().count(), 1, "{text}");
    let (hash, rest) = text.trim_end().split_once(' ').expect("a hash and more");
    (hash.to_owned(), rest.to_owned())
}

/// A module in a file.
fn module(case: &Case, content: &str, size: usize) -> PathBuf {
    let file = case.folder("modules").join(format!("{content}.wasm"));
    fs::write(&file, guest_with(case, content, size)).expect("the module");
    file
}

/// The first start of an image's module maps what `precompile` has made.
fn precompiled_image(case: &Case) {
    let archive = case.folder("modules").join("app.tar");
    let name = format!("--tag=localhost/{}:1", case.id("image"));
    let flags = [name.as_str(), "--platform=linux/amd64"];
    packer::pack(&module(case, "image", LARGE), &archive, &flags);
    let (hash, said) = precompile(&archive);
    assert!(said.starts_with("/image.wasm compiled in "), "{said}");
    let row = listed(&hash).expect("an entry");
    assert_eq!(
        (&row["state"], &row["usable"]),
        (&"best".into(), &true.into())
    );
    let ctr = &case.containerd.ctr;
    ctr.import(&archive, ("linux", "amd64"));
    let flags = ["--annotation", "io.containerd.wasm.aot=background"];
    let run = case.run("a").image(&name[6..]).flags(flags);
    let code = code_of_sleeping(case, run, "/image.wasm").expect("native code");
    let code = code.to_string_lossy().into_owned();
    assert!(code.contains(&hash), "{code}");
    assert_eq!(precompile(&archive).1, "/image.wasm is there already");
}

fn precompiled_module(case: &Case) {
    let file = module(case, "file", 0);
    let (hash, said) = precompile(&file);
    assert!(said.contains("file.wasm compiled in "), "{said}");
    let text = wasm_oci(&["cache", "ls"]).success();
    let line = text
        .lines()
        .find(|line| line.starts_with(&hash))
        .expect("a line");
    assert!(line.ends_with(" native code"), "{line}");
    let removed = wasm_oci(&["cache", "rm", &hash]).success();
    assert!(
        removed.contains(&format!("removed {hash}\nfreed ")),
        "{removed}"
    );
    assert_eq!(listed(&hash), None);
    let left = files_of(&hash);
    assert!(left.is_empty(), "{left:?}");
    let again = wasm_oci(&["cache", "rm", &hash]);
    again.expect_code(1);
    assert!(
        again.stderr_text().contains("the hash of no module"),
        "{}",
        again.describe()
    );
}

fn files_of(hash: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(STORE).expect("the store").flatten();
    let is_its = |path: &PathBuf| path.to_string_lossy().contains(hash);
    files.map(|file| file.path()).filter(is_its).collect()
}

/// As after the end of the machine while the good code was being made: the next
/// start uses what is there, and has it made again.
fn quick_code_that_was_left(case: &Case) {
    let root = guest_of(case, "left");
    let (hash, _) = precompile(&root.join("guest"));
    let [code, ..] = &files_of(&hash)[..] else {
        panic!("no code of {hash}");
    };
    let quick = code.with_extension("quick");
    fs::write(&quick, "").expect("a mark");
    assert_eq!(listed(&hash).expect("an entry")["state"], "quick");
    let flags = [
        "--annotation",
        "io.containerd.wasm.aot=background",
        "--rootfs",
    ];
    let root = root.to_string_lossy();
    let run = case.run("a").flags(flags).image(&root);
    assert!(
        code_of_sleeping(case, run, "/guest").is_some(),
        "interpreted"
    );
    wait::until_clean(LIMIT, || quick.exists().then(|| "quick code".into()));
    assert_eq!(listed(&hash).expect("an entry")["state"], "best");
}

/// What this node can't use goes; what it can stays.
fn pruned(case: &Case) {
    let (hash, _) = precompile(&module(case, "pruned", 0));
    let name = case.id("x").replace('-', "");
    let foreign = [
        format!("0.1.0-0000000000000000-{name}1.so"),
        format!("0.1.0-0000000000000000-{name}1.lock"),
        format!("0.1.0-0000000000000000-{name}2.failed"),
        format!("0.1.0-0000000000000000-{name}3.part"),
    ];
    for file in &foreign {
        fs::write(Path::new(STORE).join(file), "old").expect("a file of the store");
    }
    let text = wasm_oci(&["cache", "ls"]).success();
    assert!(text.contains("(for another WasmEdge or CPU)"), "{text}");
    wasm_oci(&["cache", "prune"]).success();
    let left = files_of(&name);
    assert!(left.is_empty(), "{left:?}");
    wasm_oci(&["cache", "prune", "--unused-days", "1"]).success();
    assert!(listed(&hash).is_some(), "it was used just now");
}

fn mistakes_of_precompile(case: &Case) {
    let folder = case.folder("modules");
    let refused = |name: &str, bytes: &[u8], words: &str| {
        let file = folder.join(name);
        fs::write(&file, bytes).expect("a file");
        let output = wasm_oci(&["precompile", &file.to_string_lossy()]);
        output.expect_code(1);
        let said = format!("{}{}", output.stdout_text(), output.stderr_text());
        assert!(said.contains(words), "{words}: {}", output.describe());
        output
    };
    refused("text", b"hello", "is no archive of an image");
    refused("component", b"\0asm\x0d\0\x01\0", "is a component");
    let broken = refused("broken", b"\0asm\x01\0\0\0\x01", "can't be compiled: ");
    let text = broken.stdout_text();
    let hash = text.split(' ').next().expect("a hash");
    assert_eq!(listed(hash).expect("an entry")["state"], "failed");
    wasm_oci(&["cache", "rm", hash]).success();
    let mut other = packer::command();
    other.args(["cache", "ls"]).uid(65534);
    let other = command::output(other, LIMIT);
    other.expect_code(1);
    assert!(
        other.stderr_text().contains("run this as root"),
        "{}",
        other.describe()
    );
}
