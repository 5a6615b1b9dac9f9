//! Whole archives, of our own and of Docker's making, sound and not.

use std::fs;
use std::path::PathBuf;

use clap::Parser;
use serde_json::json;
use tar::{Builder, Header};
use tempfile::TempDir;

use super::*;
use crate::cli::{Cli, Command};
use crate::module::tests::SMALL;
use crate::{digest, pack};
use report::Kind;

/// Packs `app.wasm`, with itself as import module `env`.
fn packed(flags: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("app.wasm");
    let output = folder.path().join("app.tar");
    fs::write(&module, SMALL).unwrap();
    let import = format!("--import=env={}", module.display());
    let mut line = vec!["wasm-oci", "pack", module.to_str().unwrap()];
    line.extend(["-o", output.to_str().unwrap(), &import]);
    line.extend(flags);
    let Command::Pack(options) = Cli::parse_from(line).command else {
        panic!("not pack");
    };
    pack::pack(&options, None).unwrap();
    (folder, output)
}

fn write(folder: &TempDir, members: &[(&str, &[u8])]) -> PathBuf {
    let mut archive = Builder::new(Vec::new());
    for (path, content) in members {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, *content).unwrap();
    }
    let path = folder.path().join("made.tar");
    fs::write(&path, archive.into_inner().unwrap()).unwrap();
    path
}

#[test]
fn what_pack_writes_is_sound() {
    let (_folder, path) = packed(&["--tag=localhost/app:1", "--env=A=1", "--", "x"]);
    let report = read(&path).unwrap();
    assert_eq!(report.problems, [""; 0]);
    let image = &report.images[0];
    assert_eq!(image.kind, Kind::Image);
    assert_eq!(image.name.as_deref(), Some("localhost/app:1"));
    assert_eq!(image.platform.as_deref(), Some("wasi/wasm"));
    assert_eq!(image.entrypoint, ["/app.wasm"]);
    assert_eq!(
        (&image.cmd[..], &image.env[..]),
        (&["x".into()][..], &["A=1".into()][..])
    );
    let paths: Vec<_> = image.modules.iter().map(|module| &module.path).collect();
    assert_eq!(paths, ["/app.wasm", "/usr/lib/wasm/env.wasm"]);

    let (_folder, path) = packed(&["--artifact"]);
    let report = read(&path).unwrap();
    assert_eq!(report.problems, [""; 0]);
    let image = &report.images[0];
    assert_eq!(image.kind, Kind::Artifact);
    assert_eq!(image.platform.as_deref(), Some("wasip1/wasm"));
    let paths: Vec<_> = image.modules.iter().map(|module| &module.path).collect();
    assert_eq!(paths, ["app.wasm", "env.wasm"]);
    assert_eq!(image.modules[0].content.imports[0].module, "env");
    let text = text::report(&report);
    for part in ["artifact", "wasip1/wasm", "env.log", "memory _start add"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Each byte counts: those of blobs by digests, those of headers by names.
#[test]
fn damage_is_told() {
    let (folder, path) = packed(&[]);
    let sound = fs::read(&path).unwrap();
    let module = sound
        .windows(SMALL.len())
        .position(|part| part == SMALL)
        .unwrap();
    let mut bytes = sound.clone();
    bytes[module + 20] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let report = read(&path).unwrap();
    assert!(
        report
            .problems
            .iter()
            .any(|problem| problem.contains("is damaged")),
        "{:?}",
        report.problems
    );
    let cut = folder.path().join("cut.tar");
    fs::write(&cut, &sound[..module]).unwrap();
    let error = read(&cut).unwrap_err().to_string();
    assert!(
        error.contains("cut.tar") && error.contains("cut short"),
        "{error}"
    );
    for at in (0..sound.len()).step_by(97) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        drop(read(&path));
    }
}

#[test]
fn a_missing_layer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let layer = digest::of(b"gone").to_string();
    let config = json!({
        "architecture": "wasm", "os": "wasi", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer]},
    })
    .to_string();
    let descriptor = |kind: &str, bytes: &[u8]| {
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": digest::of(bytes).to_string(), "size": bytes.len(),
        })
    };
    let manifest = json!({
        "schemaVersion": 2,
        "config": descriptor("config.v1+json", config.as_bytes()),
        "layers": [descriptor("layer.v1.tar", b"gone")],
    })
    .to_string();
    let mut entry = descriptor("manifest.v1+json", manifest.as_bytes());
    entry["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let elsewhere = descriptor("manifest.v1+json", b"for another platform");
    let nested = json!({"schemaVersion": 2, "manifests": [entry, elsewhere]}).to_string();
    let index = json!({
        "schemaVersion": 2,
        "manifests": [descriptor("index.v1+json", nested.as_bytes())],
    })
    .to_string();
    let blob = |bytes: &str| {
        format!(
            "blobs/{}",
            digest::of(bytes.as_bytes()).to_string().replace(':', "/")
        )
    };
    let path = write(
        &folder,
        &[
            ("index.json", index.as_bytes()),
            (&blob(&nested), nested.as_bytes()),
            (&blob(&manifest), manifest.as_bytes()),
            (&blob(&config), config.as_bytes()),
        ],
    );
    let problems = read(&path).unwrap().problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("linux/amd64") && problems[0].contains("wasi/wasm"));
    assert!(problems[1].contains(&layer) && problems[1].contains("not in the archive"));
}

#[test]
fn dockers_own_layout() {
    let folder = tempfile::tempdir().unwrap();
    let mut layer = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(SMALL.len() as u64);
    layer.append_data(&mut header, "app.wasm", SMALL).unwrap();
    let layer = layer.into_inner().unwrap();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/app.wasm"]},
        "rootfs": {"type": "layers", "diff_ids": [digest::of(&layer).to_string()]},
    })
    .to_string();
    let manifest = json!([{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["1/layer.tar"]}]);
    let manifest = manifest.to_string();
    let mut members = vec![
        ("manifest.json", manifest.as_bytes()),
        ("c.json", config.as_bytes()),
        ("1/layer.tar", layer.as_slice()),
    ];
    let report = read(&write(&folder, &members)).unwrap();
    assert_eq!(report.problems, [""; 0]);
    let image = &report.images[0];
    assert_eq!(image.name.as_deref(), Some("app:1"));
    assert_eq!((image.entrypoint.len(), image.modules.len()), (1, 1));
    members[2].1 = b"";
    let report = read(&write(&folder, &members)).unwrap();
    assert!(
        report.problems[0].contains("1/layer.tar"),
        "{:?}",
        report.problems
    );
}

#[test]
fn what_is_no_archive_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for (bytes, part) in [
        (&b"\x1f\x8b\x08"[..], "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (SMALL, "file"),
        (b"", "neither index.json"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(
        read(folder.path())
            .unwrap_err()
            .to_string()
            .contains("no file")
    );
    let index: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;
    let report = read(&write(&folder, &[("index.json", index)])).unwrap();
    assert_eq!(report.problems, ["no image is in the archive"]);
}
