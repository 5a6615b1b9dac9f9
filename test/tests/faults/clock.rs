//! A clock that jumps.
//!
//! The machine's own is not set here, and no namespace has another real-time
//! clock. What jumps is CLOCK_REALTIME alone, so it is shown that nothing waits
//! by it: the sources read it in few places, for time stamps, and the kernel
//! says that no timer of a shim is on it.

use std::fs;
use std::path::Path;

use shim_test::case::Case;
use shim_test::{paths, processes};

use crate::bundles::{host, remove_host};

crate::tests! {
    any: ;
    wasm: real_time_is_for_stamps_alone, no_timer_is_on_real_time
}

/// Where the real-time clock may be read: what is told to containerd, and when
/// a file of the cache was used last.
const STAMPS: [&str; 9] = [
    "shim/src/container.rs",
    "shim/src/delete.rs",
    "shim/src/event.rs",
    "shim/src/events.rs",
    "shim/src/message.rs",
    "shim/src/process.rs",
    "shim/src/spans.rs",
    "store/src/listing.rs",
    "store/src/room.rs",
];

fn real_time_is_for_stamps_alone(_: &Case) {
    let root = paths::workspace();
    let mut found = Vec::new();
    for part in [
        "shim/src",
        "zygote/src",
        "ipc/src",
        "oci/src",
        "store/src",
        "figures/src",
    ] {
        collect(&root, &root.join(part), &mut found);
    }
    found.sort();
    assert_eq!(found, STAMPS, "who reads the real-time clock");
}

/// Files that read it, or that ask how long ago a stamp was.
fn collect(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, found);
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source");
        let name = path
            .strip_prefix(root)
            .expect("below")
            .to_string_lossy()
            .into_owned();
        let waits = ["SystemTime::elapsed", "ClockId::Realtime", "CLOCK_REALTIME"];
        for wrong in waits {
            assert!(!text.contains(wrong), "{name} has {wrong}");
        }
        if text.contains("SystemTime") {
            found.push(name);
        }
    }
}

fn no_timer_is_on_real_time(case: &Case) {
    let shim = host(case);
    let pid = shim.connect(&case.id("host")).shim_pid;
    let timers = fs::read_to_string(processes::proc(pid).join("timers")).unwrap_or_default();
    assert!(!timers.contains("ClockID: 0"), "{timers}");
    for (fd, target) in processes::descriptors(pid) {
        let info = processes::proc(pid).join(format!("fdinfo/{fd}"));
        let info = fs::read_to_string(info).unwrap_or_default();
        let on_real_time = info.lines().any(|line| line == "clockid: 0");
        assert!(!on_real_time, "{}: {info}", target.display());
    }
    remove_host(case);
}
