//! Readers that go away, pipes and disks that are full.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use shim_test::case::Case;
use shim_test::guest_image::GUEST;
use shim_test::pattern;
use shim_test::task::Shim;
use shim_test::wait;

use crate::bundles::{LIMIT, assert_ended, bundle, host, is_usable_again, remove_host};
use crate::disk::small;

crate::tests! {
    any: reader_gone_and_back, reader_never_comes, client_killed_while_writing;
    wasm: log_on_a_full_disk
}

/// More than a pipe holds.
const FLOOD: usize = 300_000;

fn fifo(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
    path
}

/// A guest on a running shim that writes more than the pipe holds.
fn flood(case: &Case, shim: &Shim) -> (String, PathBuf, u32) {
    let bytes = FLOOD.to_string();
    let (id, folder) = bundle(case, "a", &[GUEST, "flood", &bytes], |_| {});
    let out = fifo(&folder, "stdout");
    // runc's shim waits at Create for a reader.
    let reader = open_reader(&out);
    let created = shim.create(&id, &folder, [Path::new(""), &out, Path::new("")]);
    let pid = created.expect("Create").pid;
    drop(reader);
    shim.start(&id).expect("Start");
    (id, out, pid)
}

fn open_reader(path: &Path) -> File {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("flags");
    let mut options = File::options();
    let file = options.read(true).custom_flags(flags).open(path);
    let file = file.expect("the FIFO");
    rustix::fs::fcntl_setfl(&file, OFlags::empty()).expect("a blocking FIFO");
    file
}

/// What was written meanwhile waits for the next reader, and the rest comes.
fn reader_gone_and_back(case: &Case) {
    let shim = host(case);
    let (id, out, _) = flood(case, &shim);
    thread::sleep(Duration::from_millis(300));
    let mut bytes = Vec::new();
    let mut reader = open_reader(&out);
    reader.read_to_end(&mut bytes).expect("the FIFO");
    assert_eq!(pattern::first_difference(&bytes, FLOOD), None);
    assert_eq!(shim.wait(&id).expect("Wait").exit_status, 0);
    shim.delete(&id).expect("Delete");
    remove_host(case);
    is_usable_again(case, "a");
}

/// The guest waits for room for ever; it can be ended all the same.
fn reader_never_comes(case: &Case) {
    let shim = host(case);
    let (id, _, pid) = flood(case, &shim);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(shim.state(&id).expect("State").pid, pid);
    shim.kill(&id, 9).expect("Kill");
    assert_eq!(shim.wait(&id).expect("Wait").exit_status, 137);
    shim.delete(&id).expect("Delete");
    assert_ended(pid);
    remove_host(case);
    is_usable_again(case, "a");
}

/// `kill -9` of `ctr run`: no broken pipe ends the guest.
fn client_killed_while_writing(case: &Case) {
    let mut live = case.run("a").guest(["tick", "15", "100"]).start();
    live.expect_line("tick 1");
    let id = live.id.clone();
    drop(live);
    let exit = case.containerd.events().wait(&id, "/tasks/exit");
    assert_eq!(exit.number("exit_status"), 0);
    is_usable_again(case, "a");
}

/// The guest is told, and what there was room for is in the log.
fn log_on_a_full_disk(case: &Case) {
    let disk = small(&case.folder("disk"));
    let log = disk.path().join("log");
    let uri = format!("file://{}", log.display());
    let bytes = FLOOD.to_string();
    let run = case.run("a").flags(["--log-uri", &uri]);
    run.guest(["flood", &bytes]).detach_logged().expect_code(0);
    let exit = case.containerd.events().wait(&case.id("a"), "/tasks/exit");
    assert_ne!(exit.number("exit_status"), 0, "{exit:?}");
    let length = fs::metadata(&log).expect("the log").len();
    assert!(length > 0, "an empty log");
    case.containerd.ctr.remove(&case.id("a"));
    wait::until_clean(LIMIT, || disk.unmount());
    is_usable_again(case, "a");
}
