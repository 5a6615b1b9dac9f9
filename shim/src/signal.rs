//! Signals by number, as containerd sends them.
#![allow(unsafe_code)]

use rustix::process::Signal;

use crate::error::{Error, Result};

/// The real-time signals that programs use (signal(7)): 32 and 33 are the
/// thread library's.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

pub fn signal(number: u32) -> Result<Signal> {
    let raw = i32::try_from(number).unwrap_or_default();
    if let Some(signal) = Signal::from_named_raw(raw) {
        return Ok(signal);
    }
    if REAL_TIME.contains(&raw) {
        // SAFETY: a number that the kernel knows as a signal, and that is only
        // ever handed to the kernel, to be sent to another process.
        return Ok(unsafe { Signal::from_raw_unchecked(raw) });
    }
    Err(Error::Invalid(format!("{number} is not a signal")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_signals_but_the_thread_librarys() {
        assert_eq!(signal(9).unwrap(), Signal::KILL);
        assert_eq!(signal(15).unwrap(), Signal::TERM);
        assert_eq!(signal(37).unwrap().as_raw(), 37);
        for wrong in [0, 32, 65, u32::MAX] {
            assert!(signal(wrong).is_err(), "{wrong}");
        }
    }
}
