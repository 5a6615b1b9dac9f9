//! The image that most tests run.

use serde_json::json;

use crate::entry::Entry;
use crate::image::Image;
use crate::paths;

/// The name of the image; `USER` is the same with a user that is not root.
pub const NAME: &str = "localhost/guest:1";
pub const USER: &str = "localhost/guest-user:1";
pub const WASI: &str = "localhost/guest-wasi:1";

/// Where the guest program is in the image: with no suffix, as whether it is
/// WebAssembly is for its first bytes to say.
pub const GUEST: &str = "/guest";
pub const NATIVE: &str = "/bin/native";

/// The id of the user of the image `USER`.
pub const USER_ID: u32 = 1234;

pub fn guest() -> Image {
    Image::new(NAME, entries(), config())
}

pub fn guest_of_user() -> Image {
    let mut config = config();
    config["User"] = format!("{USER_ID}:{USER_ID}").into();
    Image::new(USER, entries(), config)
}

pub fn guest_for_wasi() -> Image {
    Image::new(WASI, entries(), config()).for_platform("wasi", "wasm")
}

fn config() -> serde_json::Value {
    json!({
        "Entrypoint": [GUEST],
        "Cmd": ["args", "from the image"],
        "Env": ["PATH=/bin:/usr/bin", "FROM_IMAGE=as it is"],
        "WorkingDir": "/data",
    })
}

/// All folders that a runtime mounts on are there, so that it has no reason to
/// write into the root file system.
fn entries() -> Vec<Entry> {
    let guest = if paths::runs_wasm() {
        "guest.wasm"
    } else {
        "guest.native"
    };
    let mut entries: Vec<Entry> = [
        "bin",
        "data",
        "data/nested",
        "dev",
        "etc",
        "proc",
        "run",
        "sys",
        "broken",
        "job",
        "imports",
        "links",
    ]
    .map(|path| Entry::folder(path, 0o755))
    .into();
    entries.extend([
        Entry::folder("tmp", 0o1777),
        Entry::copy(GUEST, 0o755, &paths::guest(guest)),
        Entry::copy("/bin/in-path", 0o755, &paths::guest(guest)),
        Entry::copy("/bin/hello-c", 0o755, &paths::guest("hello.wasm")),
        Entry::copy("/bin/socket", 0o755, &paths::guest("socket.wasm")),
        Entry::copy(NATIVE, 0o755, &paths::guest("native")),
        Entry::file("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n"),
        Entry::file("/etc/group", 0o644, "root:x:0:\n"),
        Entry::file("/data/greeting", 0o644, "hello from the image\n"),
        Entry::file("/data/nested/inner", 0o644, "inner\n"),
        Entry::file(
            "/broken/text",
            0o755,
            "neither WebAssembly nor ELF, and no #! line\n",
        ),
        Entry::file("/broken/empty", 0o755, ""),
        Entry::copy("/broken/mode-000", 0o000, &paths::guest(guest)),
    ]);
    for name in [
        "malformed",
        "component",
        "unknown_import",
        "no_start",
        "long_names",
    ] {
        let from = paths::guest(&format!("{name}.wasm"));
        entries.push(Entry::copy(&format!("/broken/{name}"), 0o755, &from));
    }
    // Links that would lead out, if the root were not the container's.
    entries.extend([
        Entry::link("/links/absolute", "/data/greeting"),
        Entry::link("/links/dots", "../../../../../../data/greeting"),
        Entry::link("/links/folder", "/"),
        Entry::link("/links/relative", "../data/greeting"),
    ]);
    for name in [
        "job/reactor",
        "job/both",
        "job/initialize_typed",
        "imports/app",
        "imports/math",
        "imports/greeter",
        "imports/cycle",
        "imports/mistyped",
    ] {
        let path = format!("/{name}.wasm");
        entries.push(Entry::copy(&path, 0o755, &paths::guest(&path[1..])));
    }
    // A name with a `#` of its own, beside the file that it would else mean.
    let both = paths::guest("job/both.wasm");
    entries.push(Entry::copy("/job/reactor.wasm#greet", 0o755, &both));
    entries
}
