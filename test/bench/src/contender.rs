//! Who is measured.

use std::process::Command;

use shim_test::containerd::Containerd;
use shim_test::guest_image::{GUEST, NAME, NATIVE};
use shim_test::paths;

/// A runtime, and the same small program in its form.
#[derive(Debug, Clone, Copy)]
pub struct Contender {
    pub name: &'static str,
    runtime: &'static str,
    flags: &'static [&'static str],
    program: &'static str,
}

/// The measure of all others.
pub const RUNC: Contender = Contender {
    name: "runc",
    runtime: "io.containerd.runc.v2",
    flags: &[],
    program: NATIVE,
};

/// This project, with native code.
pub const OURS: Contender = Contender {
    name: "ours",
    runtime: paths::WASM,
    flags: &["--annotation", "io.containerd.wasm.aot=wait"],
    program: GUEST,
};

/// The shim that runwasi's crate makes with the same WasmEdge (test/peer).
pub const RUNWASI: Contender = Contender {
    name: "runwasi",
    runtime: "io.containerd.wasmedge.v1",
    flags: &[],
    program: GUEST,
};

impl Contender {
    /// `ctr` with the words for a container of this one; `verb` as `run --rm`.
    pub fn ctr(&self, containerd: &Containerd, verb: &[&str], id: &str, args: &[&str]) -> Command {
        let mut ctr = containerd.ctr.command();
        ctr.args(verb)
            .args(["--runtime", self.runtime])
            .args(self.flags);
        ctr.args([NAME, id, self.program]).args(args);
        ctr
    }

    /// A container without a task.
    pub fn container(&self, containerd: &Containerd, id: &str, args: &[&str]) {
        let mut ctr = self.ctr(containerd, &["containers", "create"], id, args);
        let output = ctr.output().expect("ctr");
        assert!(output.status.success(), "{output:?}");
    }

    /// A container whose program sleeps.
    pub fn idle(&self, containerd: &Containerd, id: &str) {
        let mut ctr = self.ctr(
            containerd,
            &["run", "--detach", "--null-io"],
            id,
            &["sleep"],
        );
        let output = ctr.output().expect("ctr");
        assert!(output.status.success(), "{output:?}");
    }
}
