//! What a running container stands on is taken away.

use std::fs;

use rustix::mount::{UnmountFlags, unmount};
use shim_test::case::Case;
use shim_test::guest_image::GUEST;
use shim_test::task::Shim;
use shim_test::{cgroup, ctr};

use crate::bundles::{assert_ended, bundle, group, host, is_usable_again, no_stdio, remove_host};

crate::tests! {
    any: rootfs_unmounted, bundle_gone;
    wasm: rootfs_missing_at_create, cgroup_removed
}

fn rootfs_missing_at_create(case: &Case) {
    let shim = host(case);
    let (id, folder) = bundle(case, "a", &[GUEST, "hello"], |_| {});
    fs::remove_dir_all(folder.join("rootfs")).expect("the root");
    let (_, sentence) = shim.create(&id, &folder, no_stdio()).expect_err("Create");
    assert!(
        sentence.contains("/rootfs") && sentence.contains("No such file"),
        "{sentence}"
    );
    remove_host(case);
    is_usable_again(case, "a");
}

/// The container has the mount in its own namespace, and goes on.
fn rootfs_unmounted(case: &Case) {
    let mut live = case.run("a").guest(["cat"]).start();
    live.send("before\n").expect_line("before");
    let root = case.containerd.bundle(&live.id).join("rootfs");
    unmount(&root, UnmountFlags::DETACH).expect("the root's mount");
    live.send("after\n").expect_line("after").close_stdin();
    live.finish(ctr::LIMIT).expect_code(0);
    is_usable_again(case, "a");
}

/// All files of the bundle are deleted under a running container.
fn bundle_gone(case: &Case) {
    let shim = host(case);
    let (id, folder) = bundle(case, "a", &[GUEST, "sleep"], |_| {});
    let pid = shim.create(&id, &folder, no_stdio()).expect("Create").pid;
    shim.start(&id).expect("Start");
    fs::remove_dir_all(&folder).expect("the bundle");
    shim.kill(&id, 9).expect("Kill");
    assert_eq!(shim.wait(&id).expect("Wait").exit_status, 137);
    shim.delete(&id).expect("Delete");
    assert_ended(pid);
    remove_host(case);
    is_usable_again(case, "a");
}

/// Somebody moves the guest elsewhere, and removes its cgroup: what needs it
/// says so, and the container can still be ended.
fn cgroup_removed(case: &Case) {
    let id = case.id("a");
    let pid = case.run("a").guest(["sleep"]).detach();
    let shim = Shim::of(&case.containerd, &id);
    for folder in cgroup::folders(&group(case, &id)) {
        let above = folder.parent().and_then(|above| above.parent());
        let procs = above.expect("the hierarchy").join("cgroup.procs");
        fs::write(procs, pid.to_string()).expect("the guest moves");
        fs::remove_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    }
    assert_eq!(shim.state(&id).expect("State").pid, pid);
    let ctr = &case.containerd.ctr;
    let paused = ctr.call(&["tasks", "pause", &id]);
    assert_ne!(paused.code, 0, "{}", paused.describe());
    assert!(
        paused.stderr_text().contains("No such file"),
        "{}",
        paused.describe()
    );
    ctr.kill(&id, "SIGKILL").expect_code(0);
    let exit = case.containerd.events().wait(&id, "/tasks/exit");
    assert_eq!(exit.number("exit_status"), 137);
    ctr.delete_task(&id, 137);
    assert_ended(pid);
    is_usable_again(case, "a");
}
