//! What the tests share: containers that are made step by step.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use shim_test::bundle;
use shim_test::case::Case;
use shim_test::guest_image::GUEST;
use shim_test::run::Run;
use shim_test::task::Shim;
use shim_test::{command, leak, paths, wait};

pub const LIMIT: Duration = Duration::from_secs(30);

/// Ends one process, given by its pid in the sandbox, with SIGKILL.
pub fn kill(pid: u32) {
    let raw = i32::try_from(pid).expect("a pid");
    let pid = Pid::from_raw(raw).expect("a pid");
    assert_ne!(pid, Pid::INIT, "0 or 1 is never a container's");
    // It may have ended for what was done to it just before.
    let _ = kill_process(pid, Signal::KILL);
}

pub fn group(case: &Case, id: &str) -> String {
    format!("/{}/{id}", case.containerd.namespace())
}

/// A bundle for this program, with the spec changed by `change`.
pub fn bundle(
    case: &Case,
    suffix: &str,
    args: &[&str],
    change: impl FnOnce(&mut Value),
) -> (String, PathBuf) {
    let (id, folder) = (case.id(suffix), case.folder(suffix));
    let root = bundle::root_fs(&folder);
    let mut spec = bundle::spec(&root, args, &group(case, &id));
    change(&mut spec);
    bundle::write(&folder, &spec);
    (id, folder)
}

/// A bundle with a place for the shim's log, as containerd makes it.
pub fn logged_bundle(case: &Case, job: &str) -> (String, PathBuf) {
    let (id, folder) = bundle(case, "a", &[GUEST, job], |_| {});
    mknodat(CWD, folder.join("log"), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
    (id, folder)
}

/// `start`, as containerd calls it; returns where the shim listens.
pub fn start_shim(case: &Case, id: &str, folder: &Path) -> String {
    call_shim(case, id, folder, "start")
}

/// `delete`, as containerd calls it when a shim has died.
pub fn clean_up(case: &Case, id: &str, folder: &Path) {
    call_shim(case, id, folder, "delete");
}

fn call_shim(case: &Case, id: &str, folder: &Path, action: &str) -> String {
    let mut shim = Command::new(paths::shim_tree().join("bin/containerd-shim-wasm-v1"));
    shim.args(["-namespace", case.containerd.namespace(), "-id", id])
        .arg("-address")
        .arg(case.containerd.socket())
        .arg(action)
        .current_dir(folder)
        .stdin(Stdio::null());
    command::output(shim, Duration::from_secs(20)).success()
}

/// `ctr run` of such a bundle.
pub fn run_of<'a>(
    case: &'a Case,
    suffix: &str,
    args: &[&str],
    change: impl FnOnce(&mut Value),
) -> Run<'a> {
    let (_, folder) = bundle(case, suffix, args, change);
    let file = folder.join("config.json").to_string_lossy().into_owned();
    case.run(suffix)
        .flags(["--config", &file])
        .default_program()
}

/// A container that sleeps, for what its shim does besides.
pub fn host(case: &Case) -> Shim {
    let id = case.id("host");
    case.run("host").guest(["sleep"]).detach();
    Shim::of(&case.containerd, &id)
}

pub fn remove_host(case: &Case) {
    case.containerd.ctr.remove(&case.id("host"));
}

/// The FIFOs that `ctr` has made for a container, which it leaves where a call
/// fails at the end. They are its own.
fn remove_fifos(id: &str) {
    let folders = fs::read_dir("/run/containerd/fifo").into_iter().flatten();
    for folder in folders.flatten() {
        if folder.path().join(format!("{id}-stdout")).exists() {
            drop(fs::remove_dir_all(folder.path()));
        }
    }
}

/// Removes what is left as a person would, and sees that nothing is, and that
/// the next container with this id runs.
pub fn is_usable_again(case: &Case, suffix: &str) {
    let id = case.id(suffix);
    case.containerd.ctr.remove(&id);
    remove_fifos(&id);
    leak::assert_no_trace(case.containerd.namespace(), &id);
    let output = case.run(suffix).guest(["hello"]).output();
    assert_eq!(output.success(), "hello from the guest\n");
}

pub fn assert_ended(pid: u32) {
    assert!(wait::process_ends(pid, LIMIT), "process {pid} is left");
}

pub fn no_stdio() -> [&'static Path; 3] {
    [Path::new(""); 3]
}
