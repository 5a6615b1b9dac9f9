//! Whole archives, from the command line on.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

use clap::Parser;
use serde_json::{Value, json};
use tar::Archive;
use tempfile::TempDir;

use super::*;
use crate::cli::{Cli, Command};
use crate::module::tests::SMALL;

/// A folder with `app.wasm`, `env.wasm` and `data/`.
struct Workplace(TempDir);

impl Workplace {
    fn new() -> Self {
        let workplace = Self(tempfile::tempdir().unwrap());
        fs::write(workplace.path("app.wasm"), SMALL).unwrap();
        let other = [SMALL, b"\0\x02\x01x"].concat();
        fs::write(workplace.path("env.wasm"), other).unwrap();
        fs::create_dir(workplace.path("data")).unwrap();
        for name in ["b", "a", "c"] {
            fs::write(workplace.path("data").join(name), name).unwrap();
        }
        workplace
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Packs with these flags, in which `@` is this folder.
    fn pack(&self, flags: &[&str]) -> Result<BTreeMap<String, Vec<u8>>> {
        let folder = self.0.path().to_str().unwrap();
        let flags = flags.iter().map(|flag| flag.replace('@', folder));
        let line = ["wasm-oci", "pack"].map(str::to_owned).into_iter();
        let Cli { command } = Cli::try_parse_from(line.chain(flags)).unwrap();
        let Command::Pack(mut options) = command else {
            panic!("not pack");
        };
        options.output = self.path("app.tar");
        pack(&options, None)?;
        let bytes = fs::read(&options.output).unwrap();
        let mut archive = Archive::new(bytes.as_slice());
        let members = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().to_str().unwrap().to_owned(), content)
        });
        Ok(members.collect())
    }

    fn refused(&self, flags: &[&str]) -> Error {
        let error = self.pack(flags).unwrap_err();
        assert!(!self.path("app.tar").exists(), "{flags:?} wrote something");
        error
    }
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The blob that a descriptor names.
fn blob<'a>(members: &'a BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'a [u8] {
    let digest = descriptor["digest"].as_str().unwrap();
    let bytes = &members[&format!("blobs/{}", digest.replace(':', "/"))];
    assert_eq!(crate::digest::of(bytes).as_ref(), digest);
    assert_eq!(descriptor["size"], bytes.len());
    bytes
}

const OUTPUT: [&str; 3] = ["@/app.wasm", "-o", "@/app.tar"];

fn line<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    OUTPUT.iter().chain(flags).copied().collect()
}

#[test]
fn an_image_says_how_it_is_run() {
    let members = Workplace::new()
        .pack(&line(&[
            "--tag=app:1",
            "--env=B=2",
            "--env=A=1",
            "--label=x=y",
            "--add=@/data:/srv",
            "--import=env=@/env.wasm",
            "--workdir=/srv",
            "--user=1:1",
            "--",
            "two words",
            "-v",
        ]))
        .unwrap();
    assert_eq!(
        parsed(&members["oci-layout"]),
        json!({"imageLayoutVersion": "1.0.0"})
    );
    let entry = &parsed(&members["index.json"])["manifests"][0];
    assert_eq!(
        entry["platform"],
        json!({"os": "wasi", "architecture": "wasm"})
    );
    assert_eq!(
        entry["annotations"],
        json!({
            "io.containerd.image.name": "docker.io/library/app:1",
            "org.opencontainers.image.ref.name": "1",
        })
    );
    let manifest = parsed(blob(&members, entry));
    let modules = json!({"io.containerd.wasm.import-modules": "env=/usr/lib/wasm/env.wasm"});
    assert_eq!(manifest["annotations"], modules);
    let config = parsed(blob(&members, &manifest["config"]));
    assert_eq!(
        config,
        json!({
            "architecture": "wasm",
            "os": "wasi",
            "rootfs": {"type": "layers", "diff_ids": [manifest["layers"][0]["digest"]]},
            "config": {
                "Entrypoint": ["/app.wasm"],
                "Cmd": ["two words", "-v"],
                "Env": ["B=2", "A=1"],
                "WorkingDir": "/srv",
                "User": "1:1",
                "Labels": {"x": "y", "io.containerd.wasm.import-modules": "env=/usr/lib/wasm/env.wasm"},
            },
        })
    );
    let mut layer = Archive::new(blob(&members, &manifest["layers"][0]));
    let paths = layer.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        (path, entry.header().mode().unwrap())
    });
    let expected = [
        ("app.wasm", 0o755),
        ("srv/", 0o755),
        ("srv/a", 0o644),
        ("srv/b", 0o644),
        ("srv/c", 0o644),
        ("usr/", 0o755),
        ("usr/lib/", 0o755),
        ("usr/lib/wasm/", 0o755),
        ("usr/lib/wasm/env.wasm", 0o755),
    ];
    let expected = expected.map(|(path, mode)| (path.to_owned(), mode));
    assert_eq!(paths.collect::<Vec<_>>(), expected);
}

#[test]
fn the_same_inputs_make_the_same_bytes() {
    let (one, two) = (Workplace::new(), Workplace::new());
    fs::remove_file(two.path("data/a")).unwrap();
    fs::write(two.path("data/a"), "a").unwrap();
    for more in [
        &[
            "--add=@/data:/srv",
            "--label=a=1",
            "--label=b=2",
            "--import=env=@/env.wasm",
        ][..],
        &["--artifact", "--import=env=@/env.wasm"],
    ] {
        let bytes = [&one, &two].map(|place| {
            place.pack(&line(more)).unwrap();
            fs::read(place.path("app.tar")).unwrap()
        });
        assert!(bytes[0] == bytes[1], "{more:?}");
    }
}

#[test]
fn platform_and_entrypoint() {
    let mut module = SMALL.to_vec();
    let at = module
        .windows(6)
        .position(|name| name == b"_start")
        .unwrap();
    module[at..at + 6].copy_from_slice(b"do_it!");
    let place = Workplace::new();
    fs::write(place.path("app.wasm"), module).unwrap();
    assert!(matches!(
        place.refused(&line(&[])),
        Error::NoFunction { .. }
    ));
    let flags = line(&["--platform=linux/arm/v7", "--entrypoint=do_it!"]);
    let members = place.pack(&flags).unwrap();
    let entry = &parsed(&members["index.json"])["manifests"][0];
    let platform = json!({"os": "linux", "architecture": "arm", "variant": "v7"});
    assert_eq!(entry["platform"], platform);
    let config = parsed(blob(&members, &parsed(blob(&members, entry))["config"]));
    for part in ["os", "architecture", "variant"] {
        assert_eq!(config[part], platform[part]);
    }
    assert_eq!(config["config"]["Entrypoint"], json!(["/app.wasm#do_it!"]));
}

#[test]
fn an_artifact_is_its_modules() {
    let place = Workplace::new();
    let flags = line(&[
        "--artifact",
        "--import=env=@/env.wasm",
        "--import=again=@/env.wasm",
    ]);
    let members = place.pack(&flags).unwrap();
    let entry = &parsed(&members["index.json"])["manifests"][0];
    assert_eq!(
        entry["platform"],
        json!({"os": "wasip1", "architecture": "wasm"})
    );
    let manifest = parsed(blob(&members, entry));
    let layers = manifest["layers"].as_array().unwrap();
    let titles: Vec<&Value> = layers
        .iter()
        .map(|layer| &layer["annotations"]["org.opencontainers.image.title"])
        .collect();
    assert_eq!(titles, ["app.wasm", "env.wasm", "again.wasm"]);
    assert_eq!(blob(&members, &layers[0]), SMALL);
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    let digests: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
    assert_eq!(
        parsed(blob(&members, &manifest["config"])),
        json!({
            "created": "1970-01-01T00:00:00Z",
            "architecture": "wasm",
            "os": "wasip1",
            "layerDigests": digests,
        })
    );
    for (flag, named) in [
        ("--env=A=1", "--env"),
        ("--label=A=1", "--label"),
        ("--add=@/data:/srv", "--add"),
        ("--user=1", "--user"),
        ("--workdir=/", "--workdir"),
        ("--entrypoint=add", "--entrypoint"),
        ("--platform=wasi/wasm", "wasi/wasm"),
    ] {
        let error = Workplace::new().refused(&line(&["--artifact", flag]));
        assert!(error.to_string().contains(named), "{flag}: {error}");
        assert_eq!(error.exit_code(), 2, "{flag}");
    }
    let error = Workplace::new().refused(&line(&["--artifact", "--", "arg"]));
    assert!(error.to_string().contains("-- ARGS"), "{error}");
}

#[test]
fn mistakes_are_told_before_anything_is_written() {
    let place = Workplace::new();
    for (flags, code, part) in [
        (&["--add=@/data:/app.wasm"][..], 1, "/app.wasm"),
        (&["--add=@/data:/app.wasm/x"], 1, "/app.wasm/x"),
        (&["--add=@/gone:/x"], 1, "gone"),
        (&["--env=A=1", "--env=A=2"], 2, "--env A"),
        (&["--label=A=1", "--label=A=2"], 2, "--label A"),
        (
            &["--import=a=@/env.wasm", "--import=a=@/app.wasm"],
            2,
            "app.wasm",
        ),
        (&["--import=a=@/data/a"], 1, "data/a"),
        (
            &[
                "--import=a=@/env.wasm",
                "--label=io.containerd.wasm.import-modules=x",
            ],
            2,
            "import-modules",
        ),
    ] {
        let error = place.refused(&line(flags));
        assert!(error.to_string().contains(part), "{flags:?}: {error}");
        assert_eq!(error.exit_code(), code, "{flags:?}");
    }
}

#[test]
fn a_native_program_makes_an_image_for_this_machine() {
    let place = Workplace::new();
    fs::write(place.path("tool"), b"\x7fELF\x02\x01\x01\0").unwrap();
    let flags = [
        "--native",
        "@/tool",
        "-o",
        "-",
        "--add=@/data:/data",
        "--",
        "run",
    ];
    let members = place.pack(&flags).unwrap();
    let config = members.values().find_map(|bytes| {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        value.get("rootfs").is_some().then_some(value)
    });
    let config = config.unwrap();
    assert_eq!(config["os"], "linux");
    assert_eq!(config["config"]["Entrypoint"], json!(["/tool"]));
    assert_eq!(config["config"]["Cmd"], json!(["run"]));
    for (flags, part) in [
        (
            &["--native", "@/app.wasm", "-o", "-"][..],
            "leave out --native",
        ),
        (&["@/tool", "-o", "-"][..], "no WebAssembly module"),
    ] {
        let _ = fs::remove_file(place.path("app.tar"));
        let error = place.refused(flags).to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_name_follows_from_the_file() {
    let name = |file| default_name(Path::new(file)).map(|name| name.whole());
    assert_eq!(
        name("/x/My-App.v1.wasm").unwrap(),
        "localhost/my-app.v1:latest"
    );
    for bad in ["a b.wasm", "a:b.wasm", "-.wasm"] {
        assert!(matches!(name(bad), Err(Error::NoTag(_))), "{bad}");
    }
}

#[test]
fn dates_come_from_the_environment_alone() {
    assert_eq!(created(None).unwrap(), None);
    let date = created(Some("1700000000")).unwrap();
    assert_eq!(date.as_deref(), Some("2023-11-14T22:13:20Z"));
    for bad in ["", "now", "99999999999999999"] {
        assert!(created(Some(bad)).is_err(), "{bad}");
    }
}
