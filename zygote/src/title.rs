//! The command line that `ps` and `docker top` show for a guest: that of the
//! zygote would say nothing.
#![allow(unsafe_code)]

use std::ops::Range;
use std::sync::OnceLock;

/// Where the kernel reads this process's command line from.
static AREA: OnceLock<Range<usize>> = OnceLock::new();

/// To be called once, before the process loses the right to know.
pub fn find() {
    if let Some(area) = std::fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|stat| parse(&stat))
    {
        let _ = AREA.set(area);
    }
}

/// `arg_start` and `arg_end` (proc(5), fields 48 and 49); the second field, the
/// name in parentheses, can hold anything.
fn parse(stat: &str) -> Option<Range<usize>> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(48 - 3);
    let start = fields.next()?.parse().ok()?;
    let end = fields.next()?.parse().ok()?;
    (start != 0 && start < end).then_some(start..end)
}

/// Shows `args` from now on, cut to the space that there is. To be called in a
/// forked process that reads its own arguments no more.
pub fn set(args: &[String]) {
    let Some(area) = AREA.get() else { return };
    let mut text = args.join("\0").into_bytes();
    text.resize(area.len(), 0);
    // The kernel takes a last byte that is not zero for a longer command line.
    if let Some(last) = text.last_mut() {
        *last = 0;
    }
    // SAFETY: the area is this process's arguments, which the kernel has put on
    // its stack: mapped, writable, and there as long as the process is; what is
    // written fills it and no more, and nothing reads it as strings any more.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), area.start as *mut u8, text.len()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_found_behind_any_name() {
        let numbers: Vec<String> = (4..=52).map(|field| field.to_string()).collect();
        let stat = format!("17 (a ) name) S {}", numbers.join(" "));
        assert_eq!(parse(&stat), Some(48..49));
        assert_eq!(parse("17 (short) S 1"), None);
    }
}
