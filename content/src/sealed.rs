use std::fs::File;
use std::io::{Error, Result, Seek, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

/// A file in memory while it is written.
pub struct Writer {
    file: File,
    hash: Sha256,
    length: u64,
}

impl Writer {
    pub fn new() -> Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = match memfd_create(c"wasm-module", flags | MemfdFlags::NOEXEC_SEAL) {
            // Linux before 6.3.
            Err(Errno::INVAL) => memfd_create(c"wasm-module", flags)?,
            made => made?,
        };
        Ok(Self {
            file: file.into(),
            hash: Sha256::new(),
            length: 0,
        })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.length = self.length.saturating_add(bytes.len() as u64);
        self.file.write_all(bytes)
    }

    /// In bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The file, at its beginning, which nobody can change any more, whatever
    /// way they have to it; and the digest of its content.
    pub fn seal(mut self) -> Result<(OwnedFd, String)> {
        self.file.rewind()?;
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        fcntl_add_seals(&self.file, seals).map_err(Error::from)?;
        let hex: String = self
            .hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok((self.file.into(), format!("sha256:{hex}")))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};

    use super::*;

    #[test]
    fn what_is_sealed_can_be_read_and_not_changed() {
        let mut writer = Writer::new().unwrap();
        writer.write(b"a").unwrap();
        writer.write(b"bc").unwrap();
        assert_eq!(writer.length(), 3);
        let (file, digest) = writer.seal().unwrap();
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest, abc);
        let mut file = File::from(file);
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        for change in [file.write(b"d").map(drop), file.set_len(0), file.set_len(9)] {
            assert_eq!(change.unwrap_err().kind(), ErrorKind::PermissionDenied);
        }
    }
}
