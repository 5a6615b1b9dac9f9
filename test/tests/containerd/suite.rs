//! What the tests share.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use shim_test::case::Case;
use shim_test::paths;

pub type Test = shim_test::suite::Test<Case>;

/// A test by name that needs no containerd of the suite, and so runs once. It is
/// given a folder of its own.
pub type Once = (&'static str, fn(&Path));

pub fn once(tests: &'static [Once]) -> impl Iterator<Item = Trial> {
    tests.iter().map(|(name, run)| {
        let test = move || {
            let folder = Path::new("/run/st").join(name);
            fs::create_dir_all(&folder).expect("a folder in the sandbox's /run");
            run(&folder);
            fs::remove_dir_all(&folder).expect("the folder just made");
            Ok(())
        };
        Trial::test(format!("once::{name}"), test).with_ignored_flag(!paths::runs_wasm())
    })
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
