//! OCI artifacts: modules in containerd's content store, without a file system.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use shim_test::artifact::Artifact;
use shim_test::case::Case;
use shim_test::containerd::{Containerd, Options};
use shim_test::ctr::Ctr;
use shim_test::run::Run;
use shim_test::shell::Shell;
use shim_test::{guest_image, packer, paths, processes};

use crate::aot::{WAIT, code_of_sleeping};
use crate::errors::expect_refusal_of;

crate::tests! {
    any: ;
    wasm: artifact_as_packed, artifact_kinds, artifact_of_its_container, artifact_name_and_function,
        artifact_in_an_index, artifact_files_stay_out, artifact_native_code, artifact_layers_refused,
        artifact_names_refused, artifact_content_damaged, artifact_not_there, ordinary_images_pay_nothing
}

const WASM: &str = "application/wasm";
const KINDS: [&str; 3] = [
    WASM,
    "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
];
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const ANNOTATION: &str = "io.containerd.wasm.artifact";

fn guest(name: &str) -> Vec<u8> {
    fs::read(paths::guest(name)).expect("a guest")
}

fn name(case: &Case) -> String {
    format!("localhost/{}:1", case.id("a"))
}

fn of(case: &Case) -> Artifact {
    Artifact::new(&name(case))
}

fn import(case: &Case, artifact: &Artifact) {
    let archive = case.folder("in").join("artifact.tar");
    artifact.write(&archive);
    import_archive(&case.containerd.ctr, &archive);
}

/// In place of what had the name before.
fn import_archive(ctr: &Ctr, archive: &Path) {
    let path = archive.to_string_lossy();
    let all = ["images", "import", "--no-unpack", "--all-platforms", &path];
    ctr.call(&all).expect_code(0);
}

/// A container of the artifact, with a new empty folder as its root.
fn run<'a>(case: &'a Case, suffix: &str) -> Run<'a> {
    let annotation = format!("{ANNOTATION}={}", name(case));
    case.run(suffix)
        .flags(["--rootfs", "--annotation", &annotation])
        .image(&case.folder("root").to_string_lossy())
}

fn refused(case: &Case, artifact: &Artifact, words: &[&str]) {
    import(case, artifact);
    expect_refusal_of(case, run(case, "a").program("app", []), words);
}

/// The commands that `pack` prints, as they stand, with import modules.
fn artifact_as_packed(case: &Case) {
    let archive = case.folder("in").join("app.tar");
    let module = |name: &str| paths::guest(&format!("imports/{name}.wasm"));
    let import = |name| format!("--import={name}={}", module(name).display());
    let (math, greeter) = (import("math"), import("greeter"));
    let tag = format!("--tag={}", name(case));
    let flags = ["--artifact", &tag, &greeter, &math];
    let hint = packer::pack(&module("app"), &archive, &flags).stderr_text();
    let (_, commands) = hint.split_once("import it:").expect("a command");
    let (import, run) = commands.split_once("run it:").expect("a command");
    let shell = Shell::new(case);
    shell.run(import).success();
    let run = run.replace("my-container", &case.id("hint"));
    let output = shell.run(&run).success();
    assert_eq!(output, "math\ngreeter 100\napp 103\nhello 142\n");
    let seen = packer::inspect(&archive)["images"][0].clone();
    assert_eq!(seen["kind"], "artifact");
    let modules = seen["modules"].as_array().expect("modules");
    let names: Vec<_> = modules.iter().map(|module| &module["path"]).collect();
    assert_eq!(names, ["app.wasm", "greeter.wasm", "math.wasm"]);
}

/// With the configuration of an artifact and that of an image.
fn artifact_kinds(case: &Case) {
    for kind in KINDS {
        let artifact = of(case).layer(kind, None, guest("hello.wasm"));
        for artifact in [artifact.clone(), artifact.config(OCI_CONFIG)] {
            import(case, &artifact);
            let output = run(case, "a").program("app", []).output();
            assert_eq!(output.success(), "hello from C\n", "{artifact:?}");
        }
    }
}

/// As CRI makes them: the container is of the artifact itself, and nothing says
/// so but containerd. `ctr` does it with the configuration of an image, from 1.7 on.
fn artifact_of_its_container(case: &Case) {
    let artifact = of(case)
        .config(OCI_CONFIG)
        .layer(KINDS[2], None, guest("guest.wasm"));
    import(case, &artifact);
    let name = name(case);
    let run = |suffix| {
        case.run(suffix)
            .image(&name)
            .flags(["--platform", "wasip1/wasm"])
            .program("app", ["args"])
    };
    let output = run("a").output();
    if case.containerd.version.name.starts_with("1.6") {
        assert!(
            output.stderr_text().contains("media-type")
                || output.stderr_text().contains("mismatched")
        );
        return;
    }
    assert_eq!(output.success(), "[app]\n[args]\n");
    // Not by what its root is like: this one is not empty when it is seen.
    let data = case.folder("data");
    let mounted = run("b").mount(&data, "/data", "rbind:rw").output();
    assert_eq!(mounted.success(), "[app]\n[args]\n");
    // A file of that name is the program.
    fs::copy(paths::guest("hello.wasm"), data.join("app")).expect("a module");
    let file = run("c").mount(&data.join("app"), "/app", "rbind:ro");
    assert_eq!(file.output().success(), "hello from C\n");
}

fn artifact_name_and_function(case: &Case) {
    let artifact = of(case).layer(WASM, Some("guest.wasm"), guest("guest.wasm"));
    import(case, &artifact);
    let args = |program| {
        run(case, "a")
            .program(program, ["args", "two words"])
            .output()
    };
    assert_eq!(
        args("/any/name").success(),
        "[/any/name]\n[args]\n[two words]\n"
    );
    assert_eq!(
        args("#_start").success(),
        "[guest.wasm]\n[args]\n[two words]\n"
    );

    let artifact = of(case).layer(WASM, Some("reactor.wasm"), guest("job/reactor.wasm"));
    import(case, &artifact);
    let greet = run(case, "a").program("x#greet", []).output();
    assert_eq!(greet.success(), "initialized\n");
    let annotation = ["--annotation", "io.containerd.wasm.entrypoint=greet"];
    let greet = run(case, "a").flags(annotation).program("x", []).output();
    assert_eq!(greet.success(), "initialized\n");
    let words = ["reactor.wasm", "\"nothing\"", "greet"];
    expect_refusal_of(case, run(case, "a").program("x#nothing", []), &words);
}

fn artifact_in_an_index(case: &Case) {
    let artifact = of(case).layer(WASM, None, guest("hello.wasm"));
    for platforms in [
        &[("wasip1", "wasm")][..],
        &[("linux", "amd64"), ("wasi", "wasm")],
    ] {
        import(case, &artifact.clone().for_platforms(platforms));
        let output = run(case, "a").program("app", []).output();
        assert_eq!(output.success(), "hello from C\n", "{platforms:?}");
    }
    let none = [("linux", "amd64"), ("linux", "arm64")];
    refused(
        case,
        &artifact.for_platforms(&none),
        &[&name(case), "no artifact"],
    );
}

/// The modules are the guest's to run, and not to hold or to find.
fn artifact_files_stay_out(case: &Case) {
    let artifact = of(case)
        .layer(WASM, Some("guest.wasm"), guest("guest.wasm"))
        .layer(WASM, Some("math.wasm"), guest("imports/math.wasm"));
    import(case, &artifact);
    let mut live = run(case, "a")
        .flags(["--read-only"])
        .program("app", ["sleep"])
        .start();
    live.expect_line("math");
    live.expect_line("ready");
    let (pid, _) = case.containerd.ctr.status(&live.id).expect("the task");
    let held = |pid: u32| -> Vec<PathBuf> {
        let open = processes::descriptors(pid);
        let links = open.iter().map(|(fd, _)| format!("fd/{fd}"));
        links
            .filter_map(|link| fs::read_link(processes::proc(pid).join(link)).ok())
            .filter(|path| path.to_string_lossy().contains("wasm-module"))
            .collect()
    };
    assert_eq!(held(pid), Vec::<PathBuf>::new());
    let shim = processes::shims(case.containerd.namespace());
    let shim = shim
        .iter()
        .find(|shim| shim.command_line.contains(&live.id));
    assert_eq!(held(shim.expect("its shim").pid), Vec::<PathBuf>::new());
    case.containerd.ctr.kill(&live.id, "SIGTERM").expect_code(0);
    live.finish(Duration::from_secs(20)).expect_code(143);
}

fn artifact_native_code(case: &Case) {
    let artifact = of(case).layer(WASM, None, guest("guest.wasm"));
    import(case, &artifact);
    let code = code_of_sleeping(case, run(case, "a").flags(WAIT), "app");
    assert!(code.is_some(), "interpreted");
    assert_eq!(code_of_sleeping(case, run(case, "b"), "app"), None);
}

fn artifact_layers_refused(case: &Case) {
    refused(case, &of(case), &[&name(case), "no layer"]);
    let text = of(case).layer("text/plain", None, b"text".to_vec());
    refused(case, &text, &["text/plain", "no webassembly module"]);
    // What a layer is by its type is not yet what it is.
    let text = of(case).layer(WASM, Some("a.wasm"), b"text".to_vec());
    refused(case, &text, &["a.wasm", "webassembly module"]);
    let component = of(case).layer(KINDS[1], Some("c.wasm"), b"\0asm\x0d\0\x01\0".to_vec());
    refused(case, &component, &["c.wasm", "component", "wasip1"]);
    let archive =
        of(case)
            .config(OCI_CONFIG)
            .layer("application/vnd.in-toto+json", None, b"{}".to_vec());
    refused(case, &archive, &["no artifact", ANNOTATION]);
}

fn artifact_names_refused(case: &Case) {
    let with = |titles: &[Option<&str>]| {
        let program = of(case).layer(WASM, Some("app.wasm"), guest("imports/app.wasm"));
        titles.iter().fold(program, |artifact, title| {
            artifact.layer(WASM, *title, guest("imports/math.wasm"))
        })
    };
    refused(case, &with(&[None]), &["layer 2", "no title"]);
    let twice = with(&[Some("math.wasm"), Some("lib/math.wasm")]);
    refused(
        case,
        &twice,
        &["math.wasm", "lib/math.wasm", "both have the name"],
    );
    let reserved = with(&[Some("wasi_snapshot_preview1.wasm")]);
    refused(case, &reserved, &["wasi_snapshot_preview1", "wasi's own"]);
    refused(
        case,
        &with(&[]),
        &["app.wasm", "\"math\"", "nothing provides"],
    );
    // The annotation adds to them, but not in their place.
    import(case, &with(&[Some("math.wasm")]));
    let annotation = "io.containerd.wasm.import-modules=math=/m.wasm";
    let run = run(case, "a")
        .flags(["--annotation", annotation])
        .program("app", []);
    expect_refusal_of(
        case,
        run,
        &["\"math\"", "math.wasm", "/m.wasm", "import-modules"],
    );
}

/// On disk, behind containerd's back; and deleted, in its sight.
fn artifact_content_damaged(case: &Case) {
    // Content that no other test has.
    let mut module = guest("hello.wasm");
    module.extend(b"\0\x02\x01d");
    let artifact = of(case).layer(WASM, Some("d.wasm"), module);
    import(case, &artifact);
    let archive = case.folder("in").join("artifact.tar");
    let layers = packer::inspect(&archive)["images"][0]["layers"].clone();
    let digest = layers[0]["digest"].as_str().expect("a digest").to_owned();
    let store = case
        .containerd
        .folder()
        .join("root/io.containerd.content.v1.content/blobs");
    let blob = store.join(digest.replace(':', "/"));
    let mut bytes = fs::read(&blob).expect("the blob");
    *bytes.last_mut().expect("a byte") = b'e';
    fs::write(&blob, &bytes).expect("the blob");
    let refused =
        |words: &[&str]| expect_refusal_of(case, run(case, "a").program("app", []), words);
    refused(&["d.wasm", &digest, "not what its digest says"]);
    bytes.pop();
    fs::write(&blob, &bytes).expect("the blob");
    refused(&["d.wasm", "bytes|digest"]);
    fs::remove_file(&blob).expect("the blob");
    refused(&["d.wasm", &digest]);
    case.containerd
        .ctr
        .call(&["content", "delete", &digest])
        .expect_code(0);
    refused(&["d.wasm", &digest, "not in containerd's content store"]);
}

fn artifact_not_there(case: &Case) {
    let run =
        |value: &str| run(case, "a").flags(["--annotation", &format!("{ANNOTATION}={value}")]);
    let missing = run("localhost/none:1").program("app", []);
    expect_refusal_of(
        case,
        missing,
        &[
            "localhost/none:1",
            "is not in containerd's namespace",
            "pull",
        ],
    );
    expect_refusal_of(case, run("").program("app", []), &[ANNOTATION, "empty"]);
    let ordinary = run(guest_image::NAME).program("app", []);
    expect_refusal_of(
        case,
        ordinary,
        &[guest_image::NAME, "no artifact", ANNOTATION],
    );
    let in_pod = run(guest_image::NAME)
        .in_pod("p", "container")
        .program("app", []);
    expect_refusal_of(case, in_pod, &[ANNOTATION, "container's image"]);
}

/// Without the program that speaks with containerd, they run as ever; that
/// something is missing is told only where it is needed.
fn ordinary_images_pay_nothing(case: &Case) {
    let (from, tree) = (paths::shim_tree(), case.folder("tree"));
    let files = Path::new("lib/containerd-shim-wasm");
    for folder in [Path::new("bin"), files] {
        fs::create_dir_all(tree.join(folder)).expect("a folder of this test");
    }
    for file in [
        Path::new("bin/containerd-shim-wasm-v1"),
        &files.join("wasm-zygote"),
    ] {
        fs::copy(from.join(file), tree.join(file)).expect("a file of the build");
    }
    let runtime = files.join("runtime");
    std::os::unix::fs::symlink(from.join(&runtime), tree.join(&runtime)).expect("a link");
    let options = Options {
        name: format!("{}-pay", case.containerd.version.name),
        shim_bin: tree.join("bin"),
        wrapper: Vec::new(),
        cri: None,
    };
    let containerd = Containerd::start(&case.containerd.version, &options);
    let output = Run::new(&containerd, "a").guest(["hello"]).output();
    assert_eq!(output.success(), "hello from the guest\n");
    let missing = Run::new(&containerd, "a").program("/none", []).output();
    assert_ne!(missing.code, 0);
    let text = missing.stderr_text();
    assert!(text.contains("wasm-content"), "{text}");
}
