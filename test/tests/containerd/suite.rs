//! The list of tests.

use libtest_mimic::Arguments;
use rustix::process::{Pid, Signal, kill_process};
use shim_test::case::Case;

/// One test, to be run on each containerd.
pub struct Test {
    pub name: &'static str,
    pub run: fn(&Case),
    /// Says nothing about a runtime for native programs.
    pub wasm_only: bool,
}

/// `tests! { any: a, b; wasm: c }` makes the `TESTS` of a module: `any` hold
/// for each runtime, so runc passes them too.
#[macro_export]
macro_rules! tests {
    (any: $($any:ident),*; wasm: $($wasm:ident),* $(,)?) => {
        pub const TESTS: &[$crate::suite::Test] = &[
            $($crate::suite::Test { name: stringify!($any), run: $any, wasm_only: false },)*
            $($crate::suite::Test { name: stringify!($wasm), run: $wasm, wasm_only: true },)*
        ];
    };
}

/// Whether libtest-mimic will run a test of this name. It does not tell by
/// itself; containerd has to be ended after the last one.
pub fn is_selected(arguments: &Arguments, name: &str, ignored: bool) -> bool {
    let matches = |pattern: &String| {
        if arguments.exact {
            name == pattern
        } else {
            name.contains(pattern.as_str())
        }
    };
    let runs = match (arguments.ignored, arguments.include_ignored) {
        (true, _) => ignored,
        (_, true) => true,
        _ => !ignored,
    };
    runs && !arguments.list
        && !arguments.skip.iter().any(matches)
        && arguments.filter.as_ref().is_none_or(matches)
}

/// Ends one process, given by its pid in the sandbox, with SIGKILL.
pub fn kill(pid: u32) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a pid");
    assert_ne!(pid, Pid::INIT, "0 or 1 is never a container's");
    kill_process(pid, Signal::KILL).expect("a process of this test");
}
