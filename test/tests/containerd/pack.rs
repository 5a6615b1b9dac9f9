//! What `wasm-oci` packs, given to those who have to take it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use shim_test::case::Case;
use shim_test::shell::Shell;
use shim_test::{command, packer, paths};

use crate::errors::expect_refusal_of;
use crate::suite::Once;

crate::tests! {
    any:;
    wasm: packed_image, packed_for_linux, packed_entrypoint, packed_imports, packed_artifact, exported_image
}

/// What needs no containerd.
pub const ONCE: &[Once] = &[("skopeo", skopeo), ("same_bytes", same_bytes)];

/// A folder to add, with a file and a link to it.
fn data(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    fs::create_dir_all(data.join("deep")).expect("a folder of this test");
    fs::write(data.join("deep/greeting"), "packed\n").expect("a file of this test");
    std::os::unix::fs::symlink("deep/greeting", data.join("link")).expect("a link of this test");
    data
}

fn packed_image(case: &Case) {
    let folder = case.folder("in");
    let archive = folder.join("app.tar");
    let add = format!("--add={}:/srv/data", data(&folder).display());
    let flags = [
        "--tag=localhost/packed:1",
        "--env=GREETING=from the image",
        "--workdir=/srv",
        "--user=1234:1234",
        &add,
        "--",
        "args",
        "two words",
    ];
    packer::pack(&paths::guest("guest.wasm"), &archive, &flags);
    case.containerd.ctr.import(&archive, ("wasi", "wasm"));
    let run = |id| {
        case.run(id)
            .image("localhost/packed:1")
            .flags(["--platform", "wasi/wasm"])
    };
    assert_eq!(
        run("default").default_program().output().success(),
        "[/guest.wasm]\n[args]\n[two words]\n"
    );
    let guest = |id, args: &[&str]| {
        let args = args.iter().copied();
        run(id).program("/guest.wasm", args).output().success()
    };
    let environment = guest("env", &["env"]);
    for line in ["GREETING=from the image", "PWD=/srv"] {
        assert!(
            environment.lines().any(|other| other == line),
            "{environment}"
        );
    }
    assert_eq!(guest("file", &["read", "data/link"]), "packed\n");
}

fn packed_for_linux(case: &Case) {
    let archive = case.folder("in").join("app.tar");
    let flags = ["--tag=localhost/packed-linux:1", "--platform=linux/amd64"];
    packer::pack(&paths::guest("hello.wasm"), &archive, &flags);
    case.containerd.ctr.import(&archive, ("linux", "amd64"));
    let run = case.run("a").image("localhost/packed-linux:1");
    assert_eq!(run.default_program().output().success(), "hello from C\n");
}

/// What `pack` prints imports and runs the image, as it stands.
fn packed_entrypoint(case: &Case) {
    let module = paths::guest("job/reactor.wasm");
    let flags = ["--tag=localhost/packed-entry:1", "--entrypoint=greet"];
    assert_eq!(pack_and_run(case, &module, &flags), "initialized\n");
    let flags = ["--tag=localhost/packed-entry:2", "--entrypoint=a#b"];
    assert_eq!(pack_and_run(case, &module, &flags), "odd name\n");
}

/// The annotation among it: without it the modules are not found.
fn packed_imports(case: &Case) {
    let import = |name| format!("--import={name}={}", module_of(name).display());
    let (math, greeter) = (import("math"), import("greeter"));
    let flags = ["--tag=localhost/packed-imports:1", &greeter, &math];
    let output = pack_and_run(case, &module_of("app"), &flags);
    assert_eq!(output, "math\ngreeter 100\napp 103\nhello 142\n");
    let run = case
        .run("a")
        .image("localhost/packed-imports:1")
        .flags(["--platform", "wasi/wasm"])
        .default_program();
    expect_refusal_of(case, run, &["/app.wasm", "\"math\"", "nothing provides"]);
}

fn module_of(name: &str) -> PathBuf {
    paths::guest(&format!("imports/{name}.wasm"))
}

/// Runs the commands that `pack` prints, and returns the container's output.
fn pack_and_run(case: &Case, module: &Path, flags: &[&str]) -> String {
    let archive = case.folder("in").join("two words.tar");
    let hint = packer::pack(module, &archive, flags).stderr_text();
    let command = |name: &str| {
        let (_, rest) = hint.split_once(name).expect(name);
        let lines = rest.split_inclusive('\n');
        let mut goes_on = true;
        let lines = lines.take_while(|line| {
            let taken = goes_on;
            goes_on = line.ends_with("\\\n");
            taken
        });
        lines.collect::<String>()
    };
    let shell = Shell::new(case);
    shell.run(&command("import it:")).success();
    let run = command("run it:").replace("my-container", &case.id("hint"));
    shell.run(&run).success()
}

/// containerd holds the modules as they are, under their digests.
fn packed_artifact(case: &Case) {
    let archive = case.folder("in").join("app.tar");
    let (entry, library) = (paths::guest("guest.wasm"), paths::guest("hello.wasm"));
    let import = format!("--import=lib={}", library.display());
    let flags = ["--artifact", "--tag=localhost/artifact:1", &import];
    packer::pack(&entry, &archive, &flags);
    let ctr = &case.containerd.ctr;
    let path = archive.to_string_lossy();
    let import = [
        "images",
        "import",
        "--no-unpack",
        "--platform",
        "wasip1/wasm",
    ];
    ctr.call(&[&import[..], &[&path]].concat()).success();
    let images = ctr.call(&["images", "list", "--quiet"]).success();
    assert!(
        images.lines().any(|name| name == "localhost/artifact:1"),
        "{images}"
    );
    let layers = packer::inspect(&archive)["images"][0]["layers"].clone();
    for (index, file) in [entry, library].iter().enumerate() {
        let digest = layers[index]["digest"].as_str().expect("a digest");
        let content = ctr.call(&["content", "get", digest]);
        content.expect_code(0);
        assert!(
            content.stdout == fs::read(file).expect("a guest"),
            "{digest}"
        );
    }
}

/// inspect reads what containerd writes.
fn exported_image(case: &Case) {
    let folder = case.folder("in");
    let (packed, exported) = (folder.join("app.tar"), folder.join("exported.tar"));
    let name = "localhost/exported:1";
    let tag = format!("--tag={name}");
    packer::pack(&paths::guest("guest.wasm"), &packed, &[&tag]);
    let ctr = &case.containerd.ctr;
    ctr.import(&packed, ("wasi", "wasm"));
    let mut export = vec!["images", "export", "--platform", "wasi/wasm"];
    if case.containerd.version.major() >= 2 {
        // Its transfer service lets ctr end before all of the archive is there.
        export.push("--local");
    }
    let path = exported.to_string_lossy();
    export.extend([&path, name]);
    ctr.call(&export).success();
    let images = |archive| packer::inspect(archive)["images"].clone();
    assert_eq!(images(&exported)[0]["name"], name);
    assert_eq!(images(&exported), images(&packed));
}

fn skopeo(folder: &Path) {
    let archive = folder.join("app.tar");
    let ask = |flags: &[&str], reference: &str| {
        let mut skopeo = Command::new("skopeo");
        skopeo.arg("inspect").args(flags);
        skopeo.arg(format!("oci-archive:{}{reference}", archive.display()));
        let answer = command::output(skopeo, Duration::from_secs(60)).success();
        serde_json::from_str::<Value>(&answer).expect("JSON of skopeo")
    };
    let module = paths::guest("guest.wasm");
    let flags = [
        "--tag=localhost/app:7",
        "--env=A=1",
        "--label=x=y",
        "--",
        "args",
    ];
    packer::pack(&module, &archive, &flags);
    let seen = ask(&[], ":7");
    for (key, value) in [
        ("Os", json!("wasi")),
        ("Architecture", json!("wasm")),
        ("Env", json!(["A=1"])),
        ("Labels", json!({"x": "y"})),
    ] {
        assert_eq!(seen[key], value, "{key}: {seen}");
    }
    let config = &ask(&["--config"], "")["config"];
    assert_eq!(config["Entrypoint"], json!(["/guest.wasm"]));
    assert_eq!(config["Cmd"], json!(["args"]));

    packer::pack(&module, &archive, &["--artifact", "--tag=localhost/app:7"]);
    let manifest = ask(&["--raw"], ":7");
    let config = &manifest["config"]["mediaType"];
    assert_eq!(*config, "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
}

/// Another folder, another user's umask, other times, and files made in
/// another order.
fn same_bytes(folder: &Path) {
    let module = paths::guest("guest.wasm");
    let packed = |place: &str, names: [&str; 3], umask: &str| {
        let place = folder.join(place);
        let data = place.join("data");
        fs::create_dir_all(&data).expect("a folder of this test");
        for name in names {
            let mut shell = Command::new("sh");
            let script =
                format!("umask {umask} && echo {name} >{name} && touch -d @{umask} {name}");
            shell.args(["-c", &script]).current_dir(&data);
            command::output(shell, Duration::from_secs(10)).success();
        }
        let archive = place.join("app.tar");
        let add = format!("--add={}:/srv", data.display());
        packer::pack(&module, &archive, &[&add, "--label=b=1", "--label=a=2"]);
        fs::read(archive).expect("the archive just written")
    };
    let one = packed("one", ["a", "b", "c"], "022");
    let two = packed("two", ["c", "a", "b"], "077");
    assert!(one == two, "the same inputs made other bytes");

    // To standard output come the same bytes as into a file.
    let mut stdout = packer::command();
    stdout.arg("pack").arg(&module).args(["-o", "-"]);
    let stdout = command::output(stdout, Duration::from_secs(60));
    let archive = folder.join("app.tar");
    packer::pack(&module, &archive, &[]);
    assert!(stdout.stdout == fs::read(archive).expect("the archive just written"));
}
