//! A container's memory limit, as a Wasm guest meets it.

use serde_json::json;
use shim_test::case::Case;
use shim_test::entry::Entry;
use shim_test::image::Image;
use shim_test::paths;
use shim_test::run::Run;

use crate::errors::expect_refusal_of;

crate::tests! {
    any: ;
    wasm: memory_grow_fails_before_the_kernel_kills, memory_limit_too_small, memory_limit_as_asked_for
}

fn limited<'a>(case: &'a Case, mebibytes: u64) -> Run<'a> {
    let limit = (mebibytes << 20).to_string();
    case.run("a").flags(["--memory-limit", &limit])
}

/// The guest takes and touches all that it can get: the reserve is enough for
/// the runtime, and not much too large.
fn memory_grow_fails_before_the_kernel_kills(case: &Case) {
    for mebibytes in [16, 64, 300] {
        let output = limited(case, mebibytes).guest(["fill"]).output();
        let filled: u64 = output
            .success()
            .trim()
            .strip_prefix("filled ")
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("{}", output.describe()));
        let expected = mebibytes - 12..mebibytes;
        assert!(expected.contains(&filled), "{filled} of {mebibytes}");
    }
    let output = limited(case, 64).guest(["grow", "64"]).output();
    output.expect_code(1);
    let text = output.stderr_text();
    assert!(text.contains("memory allocation failed"), "{text}");
}

/// With next to none the kernel ends it before it can name its program.
fn memory_limit_too_small(case: &Case) {
    for (kibibytes, program) in [
        (512_u64, ""),
        (1024, ""),
        (4096, "/guest"),
        (8192, "/guest"),
    ] {
        let limit = (kibibytes << 10).to_string();
        let run = case.run("a").flags(["--memory-limit", &limit]);
        let shown = format!("{kibibytes} kib");
        let words = ["memory limit", &shown, program, "needs", "mib at least"];
        expect_refusal_of(case, run.guest(["hello"]), &words);
    }
}

/// A program starts in as much as the error says that it needs.
fn memory_limit_as_asked_for(case: &Case) {
    let program = "/svg-flatten.wasm";
    let name = "localhost/svg-flatten-limited:1";
    let entries = vec![Entry::copy(program, 0o755, &paths::program(&program[1..]))];
    let image = Image::new(name, entries, json!({}));
    case.containerd.import(&image.for_platform("wasi", "wasm"));
    let run = |mebibytes| {
        let run = limited(case, mebibytes).image(name);
        let run = run.flags(["--platform", "wasi/wasm"]);
        run.program(program, ["--version"]).output()
    };
    let refused = run(16).stderr_text();
    let needed = refused
        .split_once("it needs ")
        .and_then(|(_, rest)| rest.split_once(" MiB"))
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or_else(|| panic!("{refused}"));
    assert!(needed > 16, "{refused}");
    let output = run(needed);
    output.expect_code(0);
    assert_eq!(output.stderr_text(), "3.1.9\n");
}
