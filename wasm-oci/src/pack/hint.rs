//! What to do with the archive, said after packing.

use oci_spec::distribution::Reference;

use super::IMPORT_MODULES;
use super::arguments::Platform;

/// The commands that import and run an image.
pub fn image(
    archive: &str,
    name: &Reference,
    platform: &Platform,
    modules: Option<&str>,
) -> String {
    let name = name.whole();
    let mut text = imported(archive, &name, platform, "");
    let annotation = modules.map(|modules| {
        let pair = quoted(&format!("{IMPORT_MODULES}={modules}"));
        format!(" \\\n    --annotation {pair}")
    });
    let annotation = annotation.as_deref().unwrap_or_default();
    text += &format!(
        "run it:    ctr run --rm --runtime io.containerd.wasm.v1 --platform {platform}{annotation} \\\n    \
         {name} my-container\n"
    );
    if modules.is_some() {
        text += "containerd does not hand the image's own annotation on, so each container needs it; \
                 in Kubernetes, among the pod's annotations\n";
    }
    text
}

/// The same for an artifact, which has nothing to unpack; containerd 1.6 fails
/// when it tries to. No `ctr run` takes its configuration, so the runtime is told
/// of it by annotation.
pub fn artifact(archive: &str, name: &Reference, platform: &Platform, program: &str) -> String {
    let (name, program) = (name.whole(), quoted(program));
    let mut text = imported(archive, &name, platform, "--no-unpack ");
    text += &format!(
        "run it:    ctr run --rm --runtime io.containerd.wasm.v1 --rootfs \\\n    \
         --annotation io.containerd.wasm.artifact={name} \\\n    \
         \"$(mktemp -d)\" my-container {program}\n"
    );
    text
}

/// The same for a native program, which any runtime runs.
pub fn native(archive: &str, name: &Reference, platform: &Platform) -> String {
    imported(archive, &name.whole(), platform, "")
}

fn imported(archive: &str, name: &str, platform: &Platform, flags: &str) -> String {
    format!(
        "packed {name} for {platform} into {archive}\n\
         import it: ctr images import {flags}--platform {platform} {}\n",
        quoted(archive)
    )
}

/// As a word for a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-=,:@+".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_safe_for_a_shell() {
        assert_eq!(quoted("/a/b-1.tar"), "/a/b-1.tar");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("a b"), "'a b'");
    }

    #[test]
    fn import_modules_ask_for_the_annotation() {
        let name: Reference = "localhost/app:1".parse().unwrap();
        let platform: Platform = "wasi/wasm".parse().unwrap();
        let with = image(
            "a.tar",
            &name,
            &platform,
            Some("env=/usr/lib/wasm/env.wasm"),
        );
        assert!(
            with.contains(
                "--annotation io.containerd.wasm.import-modules=env=/usr/lib/wasm/env.wasm"
            )
        );
        assert!(!image("a.tar", &name, &platform, None).contains("annotation"));
    }
}
