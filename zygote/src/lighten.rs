//! The zygote has libLLVM loaded and never uses it, nor do its children: compilers
//! are programs of their own (`wasm-zygote compile`). What the loader has put into
//! memory of it, by relocating its tables of pointers and looking up its symbols,
//! is most of what a zygote takes, and three quarters of what a fork copies. So it
//! is given back.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ops::Range;

/// The names of the libraries begin so.
const LIBRARIES: [&[u8]; 2] = [b"libLLVM", b"libz3"];

/// To be called when all libraries are loaded and bound, before the first fork.
/// If it can't be done, all is heavier, and that is all.
pub fn lighten() {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    // SAFETY: `note` has the type that is asked for, and takes `data` for what it
    // is; both outlive the call.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut ranges).cast()) };
    for range in ranges {
        // SAFETY: the pages of files come again when they are touched, as they are
        // in the file. That makes a difference in tables alone, which held
        // pointers: nothing reads those any more, see `table`.
        unsafe { libc::madvise(range.start as *mut c_void, range.len(), libc::MADV_DONTNEED) };
    }
}

/// Notes what can be given back of one of the libraries.
unsafe extern "C" fn note(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
    // SAFETY: the loader hands over a valid description.
    let info = unsafe { &*info };
    // SAFETY: this is the list that `lighten` has lent.
    let ranges = unsafe { &mut *data.cast::<Vec<Range<usize>>>() };
    if info.dlpi_name.is_null() || info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the loader's names are C strings.
    let name = unsafe { std::ffi::CStr::from_ptr(info.dlpi_name) };
    // SAFETY: there are as many headers as it says.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let file = name.to_bytes().rsplit(|byte| *byte == b'/').next();
    let is_one = |file: &[u8]| LIBRARIES.iter().any(|name| file.starts_with(name));
    if file.is_some_and(is_one) {
        ranges.extend(table(info.dlpi_addr, headers));
        ranges.extend(unwritten(info.dlpi_addr, headers));
    }
    0
}

/// Code, symbols and the like, which are in memory as in the file.
fn unwritten(base: u64, headers: &[libc::Elf64_Phdr]) -> Vec<Range<usize>> {
    let is_one = |header: &&libc::Elf64_Phdr| {
        header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0
    };
    let of = |header: &libc::Elf64_Phdr| {
        let start = base + header.p_vaddr;
        whole_pages(start, start + header.p_memsz)
    };
    headers.iter().filter(is_one).filter_map(of).collect()
}

/// What is read-only after relocation, but for what the loader itself goes on to
/// read: the beginning of threads' own variables, and from the dynamic section on,
/// which comes after all tables. What libLLVM wants to do at exit is skipped
/// (`fork::skip_exit_handlers`).
fn table(base: u64, headers: &[libc::Elf64_Phdr]) -> Option<Range<usize>> {
    let find = |kind| headers.iter().find(|header| header.p_type == kind);
    let relocated = find(libc::PT_GNU_RELRO)?;
    let own_variables = find(libc::PT_TLS).map_or(0, |header| header.p_vaddr + header.p_memsz);
    let start = base + relocated.p_vaddr.max(own_variables);
    let end = base + find(libc::PT_DYNAMIC)?.p_vaddr;
    whole_pages(start, end)
}

fn whole_pages(start: u64, end: u64) -> Option<Range<usize>> {
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    let (start, end) = (start.next_multiple_of(page), end - end % page);
    let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: u32, vaddr: u64, size: u64) -> libc::Elf64_Phdr {
        libc::Elf64_Phdr {
            p_type: kind,
            p_flags: 0,
            p_offset: 0,
            p_vaddr: vaddr,
            p_paddr: vaddr,
            p_filesz: size,
            p_memsz: size,
            p_align: 8,
        }
    }

    #[test]
    fn whole_pages_between_variables_and_dynamic_section() {
        let mut headers = vec![
            header(libc::PT_GNU_RELRO, 0x2010, 0x8000),
            header(libc::PT_DYNAMIC, 0x9100, 0x200),
        ];
        assert_eq!(table(0x10_0000, &headers), Some(0x10_3000..0x10_9000));
        headers.push(header(libc::PT_TLS, 0x2010, 0x1000));
        assert_eq!(table(0x10_0000, &headers), Some(0x10_4000..0x10_9000));
        headers[1].p_vaddr = 0x3000;
        assert_eq!(table(0x10_0000, &headers), None);
    }

    #[test]
    fn only_what_is_not_written_to() {
        let mut headers = vec![
            header(libc::PT_LOAD, 0, 0x1800),
            header(libc::PT_LOAD, 0x4000, 0x3000),
            header(libc::PT_LOAD, 0x8000, 0x3000),
        ];
        headers[2].p_flags = libc::PF_R | libc::PF_W;
        assert_eq!(
            unwritten(0x10_0000, &headers),
            [0x10_0000..0x10_1000, 0x10_4000..0x10_7000]
        );
    }
}
