//! Disks that are full.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use shim_test::case::Case;
use shim_test::wait;

use crate::bundles::{LIMIT, is_usable_again};

crate::tests! {
    any: ;
    wasm: outputs_on_a_full_disk, root_on_a_full_disk
}

/// A disk with room for 64 KiB, unmounted at its end.
pub struct Disk(PathBuf, Cell<bool>);

pub fn small(folder: &Path) -> Disk {
    let flags = MountFlags::NOSUID;
    mount("tmpfs", folder, "tmpfs", flags, c"size=64k").expect("a tmpfs");
    Disk(folder.into(), Cell::new(true))
}

impl Disk {
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Says who uses it, if anybody does; without an answer it is gone.
    pub fn unmount(&self) -> Option<String> {
        match unmount(&self.0, UnmountFlags::empty()) {
            Ok(()) => {
                self.1.set(false);
                None
            }
            Err(error) => Some(format!("{}: {error}", self.0.display())),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.1.get() {
            let _ = unmount(&self.0, UnmountFlags::DETACH);
        }
    }
}

/// The guest gets the error; what it wrote before is kept, and nothing of ours
/// holds the disk.
fn outputs_on_a_full_disk(case: &Case) {
    let disk = small(&case.folder("disk"));
    let text = "x".repeat(100_000);
    let run = || case.run("a").mount(disk.path(), "/outputs", "rbind:rw");
    run()
        .guest(["write", "/outputs/first", "kept"])
        .output()
        .expect_code(0);
    let output = run().guest(["write", "/outputs/second", &text]).output();
    output.expect_code(1);
    let said = output.stderr_text();
    assert!(said.contains("No space left"), "{}", output.describe());
    let kept = fs::read_to_string(disk.path().join("first"));
    assert_eq!(kept.expect("the first file"), "kept");
    wait::until_clean(LIMIT, || disk.unmount());
    is_usable_again(case, "a");
}

/// A root with no room left: the program runs, and what it can't do it is told.
fn root_on_a_full_disk(case: &Case) {
    let root = case.folder("root");
    mount("tmpfs", &root, "tmpfs", MountFlags::NOSUID, c"size=2m").expect("a tmpfs");
    let disk = Disk(root.clone(), Cell::new(true));
    fs::copy(shim_test::paths::guest("guest.wasm"), root.join("app.wasm")).expect("the guest");
    fill(&root.join("rest"));
    let root = root.to_string_lossy().into_owned();
    let run = |args: &[&str]| {
        let (id, runtime) = (case.id("a"), shim_test::paths::runtime());
        let mut line = vec!["run", "--rm", "--runtime", &runtime, "--rootfs"];
        line.extend([&root, &id, "/app.wasm"]);
        line.extend(args);
        case.containerd.ctr.call(&line)
    };
    let output = run(&["write", "/file", &"x".repeat(8192)]);
    output.expect_code(1);
    assert!(
        output.stderr_text().contains("No space left"),
        "{}",
        output.describe()
    );
    wait::until_clean(LIMIT, || disk.unmount());
    is_usable_again(case, "a");
}

/// Leaves room for a folder or two.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(path).expect("a file");
    while file.write(&[0; 4096]).is_ok_and(|count| count > 0) {}
}
