//! Native code: made once for a module, used by all guests after that.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use shim_test::case::Case;
use shim_test::guest_image::GUEST;
use shim_test::native_code::{STORE, code_of};
use shim_test::run::Run;
use shim_test::{ctr, wait};

crate::tests! {
    any: ;
    wasm: compiled_and_used, damaged_code_is_made_anew, compiled_traps, policy_is_checked, compiled_in_the_background
}

pub const WAIT: [&str; 2] = ["--annotation", "io.containerd.wasm.aot=wait"];
/// A compiler may share two CPUs with other tests.
const LIMIT: Duration = Duration::from_secs(120);

/// What a guest has mapped that sleeps in a container of this run.
pub fn code_of_sleeping(case: &Case, run: Run<'_>, guest: &str) -> Option<PathBuf> {
    let mut live = run.limit(LIMIT).program(guest, ["sleep"]).start();
    live.expect_line("ready");
    let (pid, _) = case.containerd.ctr.status(&live.id).expect("the task");
    let code = code_of(pid);
    case.containerd.ctr.kill(&live.id, "SIGTERM").expect_code(0);
    live.finish(ctr::LIMIT).expect_code(143);
    code
}

fn compiled_and_used(case: &Case) {
    let output = case
        .run("a")
        .flags(WAIT)
        .limit(LIMIT)
        .guest(["hello"])
        .output();
    assert_eq!(output.success(), "hello from the guest\n");
    let code = code_of_sleeping(case, case.run("b").flags(WAIT), GUEST);
    assert!(code.is_some(), "interpreted");
    let code = code_of_sleeping(case, case.run("c"), GUEST);
    assert_eq!(code, None, "the configuration says off");
}

/// As after a crash of the machine.
fn damaged_code_is_made_anew(case: &Case) {
    let root = guest_of(case, "damaged").to_string_lossy().into_owned();
    let run = |suffix: &str| {
        case.run(suffix)
            .flags(WAIT)
            .flags(["--rootfs"])
            .image(&root)
    };
    let code = code_of_sleeping(case, run("a"), "/guest").expect("native code");
    let whole = fs::metadata(&code).expect("code").len();
    fs::remove_file(&code).expect("code");
    fs::write(&code, b"\x7fELF and nothing more").expect("damaged code");
    let output = run("b").program("/guest", ["hello"]).output();
    assert_eq!(output.success(), "hello from the guest\n");
    assert_eq!(
        code_of_sleeping(case, run("c"), "/guest").as_ref(),
        Some(&code)
    );
    assert_eq!(fs::metadata(&code).expect("code").len(), whole);
}

/// A root file system with the guest as a module of its own content.
fn guest_of(case: &Case, content: &str) -> PathBuf {
    let folder = case.folder(content);
    let root = shim_test::bundle::root_fs(&folder);
    let guest = root.join("guest");
    let mut bytes = fs::read(shim_test::paths::guest("guest.wasm")).expect("the guest");
    // A custom section: id 0, size, a name, of which each test run has another.
    let name = format!(
        "{content}{}{}",
        case.containerd.namespace(),
        std::process::id()
    );
    let name = &name.as_bytes()[..name.len().min(100)];
    bytes.push(0);
    bytes.push(u8::try_from(name.len() + 1).expect("short"));
    bytes.push(u8::try_from(name.len()).expect("short"));
    bytes.extend(name);
    fs::write(&guest, bytes).expect("the module");
    root
}

/// The guard pages of native code, and what a guest sees of them.
fn compiled_traps(case: &Case) {
    let output = case
        .run("a")
        .flags(WAIT)
        .limit(LIMIT)
        .guest(["trap"])
        .output();
    output.expect_code(134);
    let text = output.stderr_text();
    assert!(text.contains("unreachable"), "{}", output.describe());
    let output = case.run("b").flags(WAIT).guest(["exit", "42"]).output();
    output.expect_code(42);
}

fn policy_is_checked(case: &Case) {
    let flags = ["--annotation", "io.containerd.wasm.aot=sometimes"];
    let output = case.run("a").flags(flags).guest(["hello"]).output();
    assert_ne!(output.code, 0, "{}", output.describe());
    let text = output.stderr_text();
    assert!(
        text.contains("background, wait or off"),
        "{}",
        output.describe()
    );
}

/// The first start waits for nobody.
fn compiled_in_the_background(case: &Case) {
    let root = guest_of(case, "background").to_string_lossy().into_owned();
    let flags = [
        "--annotation",
        "io.containerd.wasm.aot=background",
        "--rootfs",
    ];
    let run = |suffix: &str| case.run(suffix).flags(flags).image(&root);
    let output = run("a").program("/guest", ["hello"]).output();
    assert_eq!(output.success(), "hello from the guest\n");
    wait::until_clean(LIMIT, || {
        let code = code_of_sleeping(case, run("b"), "/guest");
        code.is_none().then(|| "an interpreter".into())
    });
    let store = fs::metadata(STORE).expect("the store");
    assert_eq!(
        store.mode() & 0o777,
        0o700,
        "others may look into the store"
    );
}
