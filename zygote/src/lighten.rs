//! Children of the zygote are forks, and a fork copies the entries of all pages
//! that were written to. Three quarters of them are libLLVM's tables of pointers,
//! which the loader has relocated, and which only compilers use: these are
//! programs of their own (`wasm-zygote compile`). So children get no copy: they
//! are forked and gone faster, and a guest finds less.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ops::Range;

/// The name of the library begins so.
const LIBRARY: &[u8] = b"libLLVM";

/// To be called when all libraries are loaded, before the first fork. If it can't
/// be done, children are heavier, and that is all.
pub fn lighten_children() {
    let mut tables: Vec<Range<usize>> = Vec::new();
    // SAFETY: `note` has the type that is asked for, and takes `data` for what it
    // is; both outlive the call.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut tables).cast()) };
    for table in tables {
        // SAFETY: this process keeps its memory as it is. Children lose a range
        // that nothing in them reads: see `table`.
        unsafe { libc::madvise(table.start as *mut c_void, table.len(), libc::MADV_DONTFORK) };
    }
}

/// Notes the range of the library that children can do without.
unsafe extern "C" fn note(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
    // SAFETY: the loader hands over a valid description.
    let info = unsafe { &*info };
    // SAFETY: this is the list that `lighten_children` has lent.
    let tables = unsafe { &mut *data.cast::<Vec<Range<usize>>>() };
    if info.dlpi_name.is_null() || info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the loader's names are C strings.
    let name = unsafe { std::ffi::CStr::from_ptr(info.dlpi_name) };
    // SAFETY: there are as many headers as it says.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let file = name.to_bytes().rsplit(|byte| *byte == b'/').next();
    if file.is_some_and(|file| file.starts_with(LIBRARY)) {
        tables.extend(table(info.dlpi_addr, headers));
    }
    0
}

/// What is read-only after relocation, in whole pages, without what the loader
/// itself goes on to read: the beginning of threads' own variables, and from the
/// dynamic section on, which comes after all tables. What is before those, the
/// functions to be called at exit, is never called: guests end by `_exit`.
fn table(base: u64, headers: &[libc::Elf64_Phdr]) -> Option<Range<usize>> {
    let find = |kind| headers.iter().find(|header| header.p_type == kind);
    let relocated = find(libc::PT_GNU_RELRO)?;
    let own_variables = find(libc::PT_TLS).map_or(0, |header| header.p_vaddr + header.p_memsz);
    let start = base + relocated.p_vaddr.max(own_variables);
    let end = base + find(libc::PT_DYNAMIC)?.p_vaddr;
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
}
