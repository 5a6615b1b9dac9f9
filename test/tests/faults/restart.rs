//! containerd is killed under running containers, and comes back.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use shim_test::case::Case;
use shim_test::containerd::{Containerd, Options};
use shim_test::live::Live;
use shim_test::run::Run;
use shim_test::{ctr, leak, paths, processes};

use crate::bundles::{assert_ended, kill};

crate::tests! {
    any: output_is_not_lost, end_is_not_lost, killed_with_its_shim;
    wasm:
}

/// A containerd of this test's own.
fn own(case: &Case) -> Containerd {
    let options = Options {
        name: format!("{}-{}", case.containerd.version.name, case.id("own")),
        shim_bin: paths::shim_tree().join("bin"),
        wrapper: Vec::new(),
        cri: None,
    };
    Containerd::start(&case.containerd.version, &options)
}

/// All that the guest says is with the reader before or with the one after, as
/// with CRI and Docker, whose readers go and come with containerd.
fn output_is_not_lost(case: &Case) {
    let mut containerd = own(case);
    let (count, id) = (40, "a");
    let fifos = case.folder("fifos");
    let flags = ["--fifo-dir", &fifos.to_string_lossy()].map(String::from);
    let ticks = count.to_string();
    let run = Run::new(&containerd, id)
        .flags(flags.iter().map(String::as_str))
        .guest(["tick", &ticks, "100"]);
    let mut said = run.detach_logged().success();
    let (pid, _) = containerd.ctr.status(id).expect("the task");
    let stdout = find(&fifos, "a-stdout").expect("the guest's stdout");
    let mut reader = BufReader::new(File::open(&stdout).expect("the FIFO"));
    for _ in 0..5 {
        reader.read_line(&mut said).expect("a line");
    }
    containerd.kill();
    said.push_str(&String::from_utf8_lossy(reader.buffer()));
    drop(reader);
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        processes::exists(pid),
        "the container ended with containerd"
    );
    containerd.restart();
    assert_eq!(containerd.ctr.status(id), Some((pid, "RUNNING".into())));
    let mut attach = containerd.ctr.command();
    attach.args(["tasks", "attach", id]);
    let rest = Live::piped(attach, id.into()).finish(ctr::LIMIT);
    said.push_str(&rest.stdout_text());
    let said: Vec<&str> = said.lines().collect();
    let expected: Vec<String> = (1..=count).map(|number| format!("tick {number}")).collect();
    assert_eq!(said, expected, "{}", rest.describe());
    containerd.ctr.remove(id);
    leak::assert_no_trace(containerd.namespace(), id);
    is_usable(&containerd, id);
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.ends_with(name) {
            return Some(path);
        }
        if let Some(found) = find(&path, name) {
            return Some(found);
        }
    }
    None
}

fn is_usable(containerd: &Containerd, id: &str) {
    let output = Run::new(containerd, id).guest(["hello"]).output();
    assert_eq!(output.success(), "hello from the guest\n");
    leak::assert_no_trace(containerd.namespace(), id);
}

/// A container that ends while nobody is there to be told. containerd 1.7 and
/// later, finding that a task has no process, take it for one that was never
/// made, and clear up; runc's shim has it so too.
fn end_is_not_lost(case: &Case) {
    let mut containerd = own(case);
    let pid = Run::new(&containerd, "a").guest(["sleep"]).detach();
    let other = Run::new(&containerd, "b").guest(["sleep"]).detach();
    containerd.kill();
    kill(pid);
    assert_ended(pid);
    containerd.restart();
    if containerd.version.name.starts_with("1.6") {
        let (_, status) = containerd.ctr.status("a").expect("the task");
        assert_eq!(status, "STOPPED");
        containerd.ctr.delete_task("a", 137);
    }
    containerd.ctr.delete_container("a").expect_code(0);
    leak::assert_no_trace(containerd.namespace(), "a");
    // The other is under control as before.
    assert_eq!(containerd.ctr.status("b"), Some((other, "RUNNING".into())));
    containerd.ctr.kill("b", "SIGKILL").expect_code(0);
    let exit = containerd.events().wait("b", "/tasks/exit");
    assert_eq!(exit.number("exit_status"), 137);
    containerd.ctr.remove("b");
    is_usable(&containerd, "b");
}

/// Both at once: the containerd that comes clears up.
fn killed_with_its_shim(case: &Case) {
    let mut containerd = own(case);
    let pid = Run::new(&containerd, "a").guest(["sleep"]).detach();
    containerd.kill();
    for shim in processes::shims(containerd.namespace()) {
        kill(shim.pid);
        assert_ended(shim.pid);
    }
    containerd.restart();
    assert_ended(pid);
    // containerd looks in the background.
    shim_test::wait::until_clean(Duration::from_secs(20), || {
        containerd
            .ctr
            .status("a")
            .map(|status| format!("a task {status:?}"))
    });
    containerd.ctr.remove("a");
    leak::assert_no_trace(containerd.namespace(), "a");
    is_usable(&containerd, "a");
}
