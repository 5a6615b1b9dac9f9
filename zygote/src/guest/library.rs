use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use ipc::{Channel, FromLibrary, ToLibrary};

use super::module::version;

/// The shim's store of native code, asked for a module before that is loaded.
/// The guest can't reach the store itself; it gets a file.
pub struct Library(Option<Channel>);

impl Library {
    pub fn new(connection: Option<OwnedFd>) -> Self {
        Self(connection.map(Channel::from))
    }

    /// Native code for these bytes of a module, if there is any. The shim may
    /// have it made from the file for the next time.
    pub fn native(&self, bytes: &[u8], file: &File) -> Option<OwnedFd> {
        let channel = self.0.as_ref()?;
        let key = key(bytes);
        channel
            .send(&ToLibrary::Find { key }, &[file.as_fd()])
            .ok()?;
        match channel.recv::<FromLibrary>().ok()? {
            (FromLibrary::Found, fds) => fds.into_iter().next(),
            (FromLibrary::Missing, _) => None,
        }
    }

    /// What was found for these bytes can't be used.
    pub fn discard(&self, bytes: &[u8]) {
        if let Some(channel) = &self.0 {
            let key = key(bytes);
            // Found again next time, and discarded again.
            let _ = channel.send(&ToLibrary::Discard { key }, &[]);
        }
    }
}

/// What native code is for: a module's content, on such a CPU, in such a
/// WasmEdge.
fn key(bytes: &[u8]) -> String {
    format!("{}-{}", platform(), blake3::hash(bytes).to_hex())
}

/// The part of a key that is the same for all modules; found out once, in the
/// zygote.
pub fn platform() -> &'static str {
    static PLATFORM: OnceLock<String> = OnceLock::new();
    PLATFORM.get_or_init(|| {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let describes_cpu = |line: &&str| line.starts_with("flags") || line.starts_with("model");
        let mut cpu = blake3::Hasher::new();
        // The lines of the first CPU; the others are like it.
        for line in cpuinfo.split("\n\n").next().unwrap_or_default().lines() {
            if describes_cpu(&line) {
                cpu.update(line.as_bytes());
            }
        }
        format!("{}-{}", version(), &cpu.finalize().to_hex()[..16])
    })
}
