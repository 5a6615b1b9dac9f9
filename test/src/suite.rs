//! The tests of one version of a server, as libtest-mimic takes them.

use std::process::exit;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::instance::{Instance, Server};
use crate::paths;

/// One test, to be run on each version. `C` is what it is given.
#[derive(Debug)]
pub struct Test<C: 'static> {
    pub name: &'static str,
    pub run: fn(&C),
    /// Says nothing about a runtime for native programs.
    pub wasm_only: bool,
}

/// Runs the tests of a suite on each version, one version after the other, then
/// those that are of no version, and ends the process with the outcome. `tests`:
/// each with the number of its turn.
pub fn run<S, T>(
    versions: impl IntoIterator<Item = S::Version>,
    tests: impl Fn() -> T,
    others: Vec<Trial>,
    arguments: &Arguments,
) -> !
where
    S: Server + Send + Sync + 'static,
    S::Version: Send + Sync,
    T: Iterator<Item = (&'static Test<S::Case>, usize)>,
{
    let mut trials_of_all = Vec::new();
    let mut previous = None;
    for version in versions {
        let instance = Instance::<S>::new(version, previous);
        trials_of_all.extend(trials(&instance, tests(), arguments));
        previous = Some(instance);
    }
    trials_of_all.extend(others);
    let conclusion = libtest_mimic::run(arguments, trials_of_all);
    drop(previous);
    exit(if conclusion.has_failed() { 101 } else { 0 })
}

/// All tests once.
pub fn once<C>(
    suites: &'static [&'static [Test<C>]],
) -> impl Iterator<Item = (&'static Test<C>, usize)> {
    suites.iter().copied().flatten().map(|test| (test, 1))
}

/// Named `VERSION::test`; the search for leaks comes last.
fn trials<S>(
    instance: &Arc<Instance<S>>,
    tests: impl Iterator<Item = (&'static Test<S::Case>, usize)>,
    arguments: &Arguments,
) -> Vec<Trial>
where
    S: Server + Send + Sync + 'static,
    S::Version: Send + Sync,
{
    let mut selected = 0;
    let mut trials: Vec<_> = tests
        .map(|(test, turn)| {
            let of_case = match turn {
                1 => test.name.to_owned(),
                turn => format!("{}_{turn}", test.name),
            };
            let name = format!("{}::{of_case}", instance.name());
            let ignored = test.wasm_only && !paths::runs_wasm();
            selected += usize::from(is_selected(arguments, &name, ignored));
            let instance = Arc::clone(instance);
            let run = move || instance.test(&of_case, test.run).map_err(Failed::from);
            Trial::test(name, run).with_ignored_flag(ignored)
        })
        .collect();
    let name = format!("{}::nothing_left_behind", instance.name());
    instance.expect(selected, is_selected(arguments, &name, false));
    let instance = Arc::clone(instance);
    trials.push(Trial::test(name, move || {
        instance.check_nothing_left().map_err(Failed::from)
    }));
    trials
}

/// Whether libtest-mimic will run a test of this name. It does not tell by
/// itself; a server has to be ended after the last one.
fn is_selected(arguments: &Arguments, name: &str, ignored: bool) -> bool {
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

/// `tests! { any: a, b; wasm: c }` makes the `TESTS` of a module from functions
/// of a `Case`: `any` hold for each runtime, so runc passes them too.
#[macro_export]
macro_rules! tests {
    (any: $($any:ident),*; wasm: $($wasm:ident),* $(,)?) => {
        pub const TESTS: &[$crate::suite::Test<Case>] = &[
            $($crate::suite::Test { name: stringify!($any), run: $any, wasm_only: false },)*
            $($crate::suite::Test { name: stringify!($wasm), run: $wasm, wasm_only: true },)*
        ];
    };
}
