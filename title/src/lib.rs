//! What `ps` shows of a process that goes on as another one than it was executed
//! as, without an execve.
#![allow(unsafe_code)]

use std::ops::Range;
use std::sync::OnceLock;

/// Where the kernel reads this process's command line and environment from.
static AREAS: OnceLock<[Range<usize>; 2]> = OnceLock::new();

/// To be called once, before the process loses the right to know.
pub fn find() {
    if let Some(areas) = std::fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|stat| parse(&stat))
    {
        let _ = AREAS.set(areas);
    }
}

/// `arg_start` to `env_end` (proc(5), fields 48 to 51); the second field, the
/// name in parentheses, can hold anything.
fn parse(stat: &str) -> Option<[Range<usize>; 2]> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields = fields.split_whitespace().skip(48 - 3).take(4);
    let fields: Vec<usize> = fields.map_while(|field| field.parse().ok()).collect();
    let [args, args_end, env, env_end] = fields[..] else {
        return None;
    };
    (args != 0 && args < args_end && env <= env_end).then_some([args..args_end, env..env_end])
}

/// Shows `args` from now on, cut to the space that there is. To be called by a
/// process that reads its own arguments no more.
pub fn set<T: AsRef<str>>(args: &[T]) {
    let Some([area, _]) = AREAS.get() else { return };
    let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
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

/// Overwrites the environment that the process was executed with. To be called
/// by one with a single thread, that reads no variable any more.
pub fn forget_environment() {
    let Some([_, area]) = AREAS.get() else { return };
    // SAFETY: as above; the variables become empty strings.
    unsafe { std::ptr::write_bytes(area.start as *mut u8, 0, area.len()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_found_behind_any_name() {
        let numbers: Vec<String> = (4..=52).map(|field| field.to_string()).collect();
        let stat = format!("17 (a ) name) S {}", numbers.join(" "));
        assert_eq!(parse(&stat), Some([48..49, 50..51]));
        assert_eq!(parse("17 (short) S 1"), None);
    }
}
