//! Where a Wasm program begins, and what may be none.

use shim_test::case::Case;
use shim_test::run::Run;

use crate::errors::expect_refusal_of;

crate::tests! {
    any: ;
    wasm: entry_by_fragment, entry_by_annotation, entry_fragment_wins, entry_file_name_wins, entry_argv0,
        entry_exit_code, entry_missing, entry_mistyped, entry_not_initializable, entry_of_native_program,
        handler_of_wasm, handler_of_native_programs, handler_unknown
}

const REACTOR: &str = "/job/reactor.wasm";
const BOTH: &str = "/job/both.wasm";

fn annotation(function: &str) -> String {
    format!("io.containerd.wasm.entrypoint={function}")
}

/// The reactor is initialized first; a function's name may have a `#` too.
fn entry_by_fragment(case: &Case) {
    let run = |function: &str| {
        let program = format!("{REACTOR}#{function}");
        case.run("a").program(&program, []).output().success()
    };
    assert_eq!(run("a#b"), "odd name\n");
    let program = format!("{BOTH}#other");
    let output = case.run("a").program(&program, []).output();
    assert_eq!(output.success(), "other\n");
}

fn entry_by_annotation(case: &Case) {
    let run = |function: &str| {
        case.run("a")
            .flags(["--annotation", &annotation(function)])
            .program(REACTOR, [])
            .output()
            .success()
    };
    assert_eq!(run("greet"), "initialized\n");
    assert_eq!(run("a#b"), "odd name\n");
}

fn entry_fragment_wins(case: &Case) {
    let run = case.run("a").flags(["--annotation", &annotation("greet")]);
    let program = format!("{REACTOR}#a#b");
    assert_eq!(run.program(&program, []).output().success(), "odd name\n");
}

/// `/job/reactor.wasm#greet` is a file, and another program.
fn entry_file_name_wins(case: &Case) {
    let program = format!("{REACTOR}#greet");
    let run = |program: &str| case.run("a").program(program, []).output().success();
    assert_eq!(run(&program), format!("main\n[{program}]\n"));
    assert_eq!(run(&format!("{program}#other")), "other\n");
}

fn entry_argv0(case: &Case) {
    let program = format!("{BOTH}#_start");
    let output = case.run("a").program(&program, ["one#two"]).output();
    assert_eq!(output.success(), format!("main\n[{BOTH}]\n[one#two]\n"));
}

fn entry_exit_code(case: &Case) {
    let program = format!("{REACTOR}#leave");
    case.run("a").program(&program, []).output().expect_code(7);
}

fn entry_missing(case: &Case) {
    let program = format!("{REACTOR}#nothing");
    let words = [REACTOR, "\"nothing\"", "greet", "leave", "typed"];
    expect_refusal_of(case, case.run("a").program(&program, []), &words);
    let run = case
        .run("a")
        .flags(["--annotation", &annotation("nothing")]);
    expect_refusal_of(case, run.program(REACTOR, []), &words);
    let empty = format!("{REACTOR}#");
    let words = [REACTOR, "after the #"];
    expect_refusal_of(case, case.run("a").program(&empty, []), &words);
}

fn entry_mistyped(case: &Case) {
    for function in ["typed", "result", "memory"] {
        let program = format!("{REACTOR}#{function}");
        let words = [
            REACTOR,
            &format!("{function:?}"),
            "without parameters",
            "greet",
        ];
        expect_refusal_of(case, case.run("a").program(&program, []), &words);
    }
}

fn entry_not_initializable(case: &Case) {
    let run = case.run("a").program("/job/initialize_typed.wasm#go", []);
    let words = ["/job/initialize_typed.wasm", "\"_initialize\""];
    expect_refusal_of(case, run, &words);
}

/// An annotation comes to all containers of a pod; a fragment is a mistake.
fn entry_of_native_program(case: &Case) {
    let run = case.run("a").flags(["--annotation", &annotation("greet")]);
    run.program("/bin/native", ["exit", "3"])
        .output()
        .expect_code(3);
    let run = case.run("a").program("/bin/native#greet", []);
    expect_refusal_of(case, run, &["/bin/native", "native", "#greet"]);
}

fn handled<'a>(case: &'a Case, annotation: &str) -> Run<'a> {
    case.run("a").flags(["--annotation", annotation])
}

const HANDLERS: [&str; 4] = [
    "run.oci.handler=wasm",
    "run.oci.handler=wasm-smart",
    "module.wasm.image/variant=compat",
    "module.wasm.image/variant=compat-smart",
];

fn handler_of_wasm(case: &Case) {
    for annotation in HANDLERS {
        let output = handled(case, annotation).guest(["hello"]).output();
        assert_eq!(output.success(), "hello from the guest\n", "{annotation}");
    }
}

/// What is strict allows none but a pod's sandbox.
fn handler_of_native_programs(case: &Case) {
    for annotation in HANDLERS {
        let run = || handled(case, annotation).program("/bin/native", ["exit", "5"]);
        if annotation.ends_with("-smart") {
            run().output().expect_code(5);
            continue;
        }
        expect_refusal_of(case, run(), &["/bin/native", annotation, "-smart"]);
        let sandbox = ["--annotation", "io.kubernetes.cri.container-type=sandbox"];
        run().flags(sandbox).output().expect_code(5);
    }
}

fn handler_unknown(case: &Case) {
    let words = ["run.oci.handler", "\"krun\"", "\"wasm-smart\""];
    expect_refusal_of(
        case,
        handled(case, "run.oci.handler=krun").guest(["hello"]),
        &words,
    );
}
