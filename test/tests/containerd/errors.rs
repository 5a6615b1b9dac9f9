//! What is wrong before the guest starts fails `ctr run` with one sentence.

use shim_test::case::Case;
use shim_test::command::Output;
use shim_test::guest_image;
use shim_test::run::Run;

crate::tests! {
    any: program_not_found, name_not_in_path, permission_denied, a_folder;
    wasm: text_file, empty_file, malformed_module, component, unknown_import, no_start,
        long_names
}

fn expect_refusal(case: &Case, image: &str, program: &str, words: &[&str]) -> Output {
    expect_refusal_of(case, case.run("a").image(image).program(program, []), words)
}

/// What must fail with one line that has all of `words` (lower case;
/// alternatives separated by `|`). `run` is of the id `a`.
pub fn expect_refusal_of(case: &Case, run: Run<'_>, words: &[&str]) -> Output {
    let output = run.output();
    let text = output.stderr_text().to_lowercase();
    assert_ne!(output.code, 0, "{}", output.describe());
    assert!(
        ![137, 139].contains(&output.code),
        "reads as a kill: {}",
        output.describe()
    );
    assert_eq!(
        text.trim().lines().count(),
        1,
        "not one sentence: {}",
        output.describe()
    );
    for word in words {
        let found = word.split('|').any(|word| text.contains(word));
        assert!(found, "{word:?} is missing: {}", output.describe());
    }
    assert_eq!(output.stdout_text(), "");
    // The next container with this id is not held up by the failed one.
    let next = case.run("a").guest(["hello"]).output();
    assert_eq!(next.success(), "hello from the guest\n");
    output
}

fn program_not_found(case: &Case) {
    expect_refusal(
        case,
        guest_image::NAME,
        "/no/such/program",
        &["/no/such/program", "no such file|not found"],
    );
}

fn name_not_in_path(case: &Case) {
    expect_refusal(
        case,
        guest_image::NAME,
        "no-such-name",
        &["no-such-name", "no such file|not found"],
    );
}

fn permission_denied(case: &Case) {
    expect_refusal(
        case,
        guest_image::USER,
        "/broken/mode-000",
        &["/broken/mode-000", "permission denied"],
    );
}

fn a_folder(case: &Case) {
    expect_refusal(
        case,
        guest_image::NAME,
        "/data",
        &["/data", "is a directory|permission denied|not a file"],
    );
}

fn text_file(case: &Case) {
    expect_refusal(
        case,
        guest_image::NAME,
        "/broken/text",
        &["/broken/text", "webassembly|wasm"],
    );
}

fn empty_file(case: &Case) {
    expect_refusal(
        case,
        guest_image::NAME,
        "/broken/empty",
        &["/broken/empty", "webassembly|wasm|empty"],
    );
}

fn malformed_module(case: &Case) {
    let reason = "malformed|invalid|unexpected end|load";
    expect_refusal(
        case,
        guest_image::NAME,
        "/broken/malformed",
        &["/broken/malformed", reason],
    );
}

fn component(case: &Case) {
    expect_refusal(
        case,
        guest_image::NAME,
        "/broken/component",
        &["/broken/component", "component", "wasip1"],
    );
}

fn unknown_import(case: &Case) {
    let words = [
        "/broken/unknown_import",
        "no_such_module",
        "no_such_function",
    ];
    expect_refusal(case, guest_image::NAME, "/broken/unknown_import", &words);
}

fn no_start(case: &Case) {
    expect_refusal(
        case,
        guest_image::NAME,
        "/broken/no_start",
        &["/broken/no_start", "_start"],
    );
}

/// What a hostile module says is shown in part, and can't reach the terminal.
fn long_names(case: &Case) {
    let program = "/broken/long_names";
    let output = expect_refusal(case, guest_image::NAME, program, &[program, "imports"]);
    assert!(output.stderr.len() < 4000, "{} bytes", output.stderr.len());
    assert!(!output.stderr.contains(&0x1b));
}
