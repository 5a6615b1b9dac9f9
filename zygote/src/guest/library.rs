use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use ipc::{Channel, FromLibrary, ToLibrary};

use super::module::version;

/// How many bytes of a module are read at once.
const PIECE: usize = 128 << 10;

/// The shim's store of native code, asked for a module before that is loaded.
/// The guest can't reach the store itself; it gets a file.
pub struct Library(Option<Channel>);

impl Library {
    pub fn new(connection: Option<OwnedFd>) -> Self {
        Self(connection.map(Channel::from))
    }

    /// Whether there is anybody to ask.
    pub fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// Native code for this key, if there is any. The shim may have it made from
    /// the module's file for the next time.
    pub fn native(&self, key: &str, file: &File) -> Option<OwnedFd> {
        let channel = self.0.as_ref()?;
        let find = ToLibrary::Find { key: key.into() };
        channel.send(&find, &[file.as_fd()]).ok()?;
        match channel.recv::<FromLibrary>().ok()? {
            (FromLibrary::Found, fds) => fds.into_iter().next(),
            (FromLibrary::Missing, _) => None,
        }
    }

    /// What was found for this key can't be used.
    pub fn discard(&self, key: &str) {
        if let Some(channel) = &self.0 {
            // Found again next time, and discarded again.
            let _ = channel.send(&ToLibrary::Discard { key: key.into() }, &[]);
        }
    }
}

/// What native code is for: a module's content, on such a CPU, in such a
/// WasmEdge. The bytes are read piece by piece: most of the time that it takes
/// to have all in memory goes into getting that.
pub fn key(mut module: impl Read) -> std::io::Result<String> {
    let mut content = blake3::Hasher::new();
    let mut piece = vec![0; PIECE];
    loop {
        match module.read(&mut piece)? {
            0 => break,
            count => content.update(&piece[..count]),
        };
    }
    Ok(format!("{}-{}", platform(), content.finalize().to_hex()))
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
