//! The shims' short-lived processes: `start`, and `delete` after the server that
//! it has started was killed.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use shim_test::containerd::Containerd;
use shim_test::guest_image::GUEST;
use shim_test::stats::median;
use shim_test::{bundle, paths, processes, wait};

use crate::report::Report;

pub fn measure(containerd: &Containerd, rounds: usize, report: &mut Report) {
    let shims = [
        (
            "runc",
            containerd.version.bin.join("containerd-shim-runc-v2"),
        ),
        (
            "ours",
            paths::shim_tree().join("bin/containerd-shim-wasm-v1"),
        ),
    ];
    let mut times: Vec<[Vec<f64>; 2]> = vec![Default::default(); shims.len()];
    for round in 0..=rounds {
        for ((name, shim), [starts, deletes]) in shims.iter().zip(&mut times) {
            let call = Call::new(containerd, shim, &format!("{name}-{round}"));
            let start = call.time("start");
            call.kill_server();
            let delete = call.time("delete");
            if round > 0 {
                starts.push(start);
                deletes.push(delete);
            }
        }
    }
    for (index, action) in ["start", "delete"].into_iter().enumerate() {
        let values = shims.iter().zip(&times);
        let values = values.map(|((name, _), times)| (*name, median(times[index].clone())));
        report.add(&format!("the shim's {action}"), "ms", values.collect());
    }
}

/// What containerd does to run a shim.
struct Call<'a> {
    containerd: &'a Containerd,
    shim: &'a Path,
    id: String,
    bundle: PathBuf,
    _log: File,
}

impl<'a> Call<'a> {
    fn new(containerd: &'a Containerd, shim: &'a Path, id: &str) -> Self {
        let bundle = containerd.folder().join("spawned").join(id);
        fs::create_dir_all(&bundle).expect("a folder");
        let group = format!("{}/{id}", containerd.group());
        let spec = bundle::spec(&bundle.join("rootfs"), &[GUEST], &group);
        bundle::write(&bundle, &spec);
        // runc's shim writes it at Create, and reads it in `delete`.
        fs::write(bundle.join("runtime"), "runc").expect("a file");
        let log = bundle.join("log");
        mknodat(CWD, &log, FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(log);
        Self {
            containerd,
            shim,
            id: id.into(),
            bundle,
            _log: open.expect("the FIFO"),
        }
    }

    /// In milliseconds.
    fn time(&self, action: &str) -> f64 {
        let folder = self.shim.parent().expect("a folder");
        let bin = &self.containerd.version.bin;
        let path = format!("{}:{}:/usr/sbin:/usr/bin", folder.display(), bin.display());
        let mut command = Command::new(self.shim);
        command
            .current_dir(&self.bundle)
            .env_clear()
            .env("PATH", path);
        command.env("TTRPC_ADDRESS", self.containerd.folder().join("none"));
        command.args(["-namespace", self.containerd.namespace(), "-id", &self.id]);
        command.arg("-address").arg(self.containerd.socket());
        if action == "delete" {
            command.arg("-bundle").arg(&self.bundle);
        }
        command.arg(action).stdin(Stdio::null());
        let begin = Instant::now();
        let output = command.output().expect("the shim");
        let taken = begin.elapsed();
        assert!(output.status.success(), "{output:?}");
        taken.as_secs_f64() * 1e3
    }

    fn kill_server(&self) {
        let server = processes::shim_of(&self.id).expect("a server");
        let pid = i32::try_from(server.pid).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), Signal::KILL).expect("our own");
        wait::process_ends(server.pid, std::time::Duration::from_secs(5));
    }
}
