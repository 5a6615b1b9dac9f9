//! A hook that keeps a step of a container's life from going on.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use serde_json::{Value, json};
use shim_test::{processes, wait};

use crate::bundles::LIMIT;

/// A hook that waits to be let go, possibly run several times at once.
pub struct Hold {
    folder: PathBuf,
}

impl Hold {
    pub fn new(folder: PathBuf) -> Self {
        let script = folder.join("hook");
        let text = format!(
            "#!/bin/sh\necho $$ >>{0}/pids\n[ -e {0}/over ] || read -r _ <{0}/go\n",
            folder.display()
        );
        fs::write(&script, text).expect("the hook");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("its mode");
        mknodat(CWD, folder.join("go"), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
        Self { folder }
    }

    /// For `hooks` of a spec.
    pub fn hook(&self) -> Value {
        json!([{"path": self.folder.join("hook"), "args": ["hook"]}])
    }

    /// The process of the hook, waited for.
    pub fn pid(&self) -> u32 {
        wait::until_clean(LIMIT, || {
            self.pids().is_empty().then(|| "no hook that runs".into())
        });
        self.pids()[0]
    }

    fn pids(&self) -> Vec<u32> {
        let text = fs::read_to_string(self.folder.join("pids")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Lets it go, and whoever comes after it.
    pub fn let_go(&self) {
        fs::write(self.folder.join("over"), "").expect("a file of this test");
        wait::until_clean(LIMIT, || {
            release(&self.folder.join("go"));
            let waits = |pid: &u32| {
                let line = processes::command_line(*pid).unwrap_or_default();
                line.contains("hook")
            };
            let left = self.pids().into_iter().find(waits);
            left.map(|pid| format!("the hook's process {pid}"))
        });
    }
}

/// Nobody is to wait for a test that failed.
impl Drop for Hold {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(fs::write(self.folder.join("over"), ""));
            for _ in self.pids() {
                release(&self.folder.join("go"));
            }
        }
    }
}

fn release(go: &Path) {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("flags");
    let opened = File::options().write(true).custom_flags(flags).open(go);
    // Nobody reads: there is nobody to let go yet, or any more.
    if let Ok(mut go) = opened {
        drop(go.write_all(b"\n"));
    }
}
