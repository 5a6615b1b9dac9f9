//! A byte stream that tells a lost, doubled or swapped block from a good one.
//! `test/src/pattern.rs` of the harness makes the same stream to compare with.

use std::io::{Result, Write};

/// Writes `bytes` bytes: consecutive little-endian 64-bit counters, each
/// multiplied by an odd constant so that neighbouring blocks differ.
pub fn write(out: &mut impl Write, bytes: u64) -> Result<()> {
    let mut left = bytes;
    let mut counter = 0u64;
    let mut block = Vec::with_capacity(64 * 1024);
    while left > 0 {
        block.clear();
        while block.len() < 64 * 1024 {
            block.extend(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
            counter += 1;
        }
        let part = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        out.write_all(&block[..part])?;
        left -= part as u64;
    }
    out.flush()
}
