//! Modules that a Wasm program imports from.

use shim_test::case::Case;
use shim_test::run::Run;

use crate::errors::expect_refusal_of;

crate::tests! {
    any: ;
    wasm: imports_linked_in_order, imports_relative_to_cwd, imports_not_listed, imports_cycle, imports_of_wrong_type,
        imports_missing_export, imports_missing_file, imports_not_wasm, imports_bad_annotation, imports_native_ignores
}

fn run<'a>(case: &'a Case, modules: &str) -> Run<'a> {
    let annotation = format!("io.containerd.wasm.import-modules={modules}");
    case.run("a")
        .flags(["--annotation", &annotation])
        .program("/imports/app.wasm", [])
}

/// Each is initialized before what imports from it, whatever the list's order;
/// one that nobody imports from is initialized too.
fn imports_linked_in_order(case: &Case) {
    let app = "app 103\nhello 142\n";
    for modules in [
        "math=/imports/math.wasm,greeter=/imports/greeter.wasm",
        "greeter=/imports/greeter.wasm, math=/imports/math.wasm",
    ] {
        let output = run(case, modules).output();
        assert_eq!(output.success(), format!("math\ngreeter 100\n{app}"));
    }
    let modules = "unused=/imports/math.wasm,math=/imports/math.wasm,greeter=/imports/greeter.wasm";
    let output = run(case, modules).output();
    assert_eq!(output.success(), format!("math\nmath\ngreeter 100\n{app}"));
}

fn imports_relative_to_cwd(case: &Case) {
    let modules = "math=../imports/math.wasm,greeter=../imports/greeter.wasm";
    let output = run(case, modules).flags(["--cwd", "/data"]).output();
    assert!(output.success().ends_with("hello 142\n"));
}

fn imports_not_listed(case: &Case) {
    let words = ["/imports/app.wasm", "\"math\"", "nothing provides"];
    let run_of = |modules| run(case, modules);
    expect_refusal_of(case, case.run("a").program("/imports/app.wasm", []), &words);
    let words = ["/imports/greeter.wasm", "\"math\"", "nothing provides"];
    expect_refusal_of(case, run_of("greeter=/imports/greeter.wasm"), &words);
}

fn imports_cycle(case: &Case) {
    let modules = "math=/imports/cycle.wasm,greeter=/imports/greeter.wasm";
    let words = [
        "circle",
        "\"math\" (/imports/cycle.wasm)",
        "\"greeter\" (/imports/greeter.wasm)",
    ];
    expect_refusal_of(case, run(case, modules), &words);
}

fn imports_of_wrong_type(case: &Case) {
    let modules = "math=/imports/mistyped.wasm,greeter=/imports/greeter.wasm";
    let words = [
        "/imports/greeter.wasm",
        "\"add\"",
        "[i32, i32] -> [i32]",
        "/imports/mistyped.wasm",
        "[i64] -> [i32]",
    ];
    expect_refusal_of(case, run(case, modules), &words);
}

fn imports_missing_export(case: &Case) {
    let modules = "math=/imports/math.wasm,greeter=/imports/math.wasm";
    let words = ["/imports/app.wasm", "\"greet\"", "/imports/math.wasm"];
    expect_refusal_of(case, run(case, modules), &words);
}

fn imports_missing_file(case: &Case) {
    let words = ["\"math\"", "/no/such.wasm", "no such file"];
    expect_refusal_of(case, run(case, "math=/no/such.wasm"), &words);
    expect_refusal_of(
        case,
        run(case, "math=/dev/null"),
        &["/dev/null", "not a file"],
    );
    expect_refusal_of(case, run(case, "math=/data"), &["/data", "not a file"]);
}

fn imports_not_wasm(case: &Case) {
    for (file, word) in [
        ("/broken/text", "webassembly"),
        ("/broken/component", "component"),
        ("/broken/malformed", "valid"),
        ("/bin/native", "webassembly"),
    ] {
        let modules = format!("math={file}");
        expect_refusal_of(case, run(case, &modules), &["\"math\"", file, word]);
    }
}

fn imports_bad_annotation(case: &Case) {
    let name = "io.containerd.wasm.import-modules";
    for (modules, words) in [
        ("math", [name, "\"math\"", "name=/path.wasm"]),
        (
            "a=/one.wasm,a=/two.wasm",
            ["/one.wasm", "/two.wasm", "\"a\""],
        ),
        (
            "wasi_snapshot_preview1=/own.wasm",
            ["/own.wasm", "wasi_snapshot_preview1", name],
        ),
    ] {
        expect_refusal_of(case, run(case, modules), &words);
    }
}

/// The annotations of a pod come to its sidecars too.
fn imports_native_ignores(case: &Case) {
    run(case, "math=/no/such.wasm")
        .program("/bin/native", ["exit", "4"])
        .output()
        .expect_code(4);
}
