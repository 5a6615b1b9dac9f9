//! Digests of what passes by.

use std::io::{self, Read, Write};
use std::str::FromStr;

use oci_spec::image::Digest;
use sha2::{Digest as _, Sha256};

/// Passes bytes on to `inner` and remembers their digest and number.
#[derive(Debug)]
pub struct Hashed<T> {
    inner: T,
    hash: Sha256,
    size: u64,
}

impl<T> Hashed<T> {
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            size: 0,
        }
    }

    /// What `inner` is after all, the digest, and the size in bytes.
    pub fn finish(self) -> (T, Digest, u64) {
        (self.inner, typed(self.hash), self.size)
    }

    fn note(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.note(&buffer[..count]);
        Ok(count)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.note(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The digest of bytes in memory.
pub fn of(bytes: &[u8]) -> Digest {
    typed(Sha256::new_with_prefix(bytes))
}

fn typed(hash: Sha256) -> Digest {
    let hex: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Digest::from_str(&format!("sha256:{hex}")).expect("64 hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn all_that_passes_counts() {
        assert_eq!(of(b"abc").as_ref(), ABC);
        let mut writer = Hashed::new(Vec::new());
        writer.write_all(b"a").unwrap();
        writer.write_all(b"bc").unwrap();
        let (bytes, digest, size) = writer.finish();
        assert_eq!(
            (bytes.as_slice(), digest.as_ref(), size),
            (&b"abc"[..], ABC, 3)
        );
        let mut reader = Hashed::new(&b"abc"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.finish().1.as_ref(), ABC);
    }
}
