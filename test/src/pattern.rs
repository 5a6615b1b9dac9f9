//! The byte stream that the guest's `flood` writes, to compare with.

/// The first place where `data` differs from the stream of `bytes` bytes, or
/// `None` when it is that stream. See `test/guests/guest/src/pattern.rs`.
pub fn first_difference(data: &[u8], bytes: usize) -> Option<usize> {
    for (counter, chunk) in data.chunks(8).enumerate() {
        let expected = (counter as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_le_bytes();
        if *chunk != expected[..chunk.len()] {
            return Some(counter * 8);
        }
    }
    (data.len() != bytes).then_some(data.len())
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    fn stream(words: u64) -> Vec<u8> {
        (0..words)
            .flat_map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
            .collect()
    }

    #[test]
    fn finds_a_lost_block() {
        let good = stream(4096);
        assert_eq!(first_difference(&good, good.len()), None);
        let mut lost = good[..4096].to_vec();
        lost.extend(&good[8192..]);
        assert_eq!(first_difference(&lost, good.len()), Some(4096));
        assert_eq!(first_difference(&good[..100], good.len()), Some(100));
    }
}
