use std::fs::File;
use std::io::Read;

use oci::{Bundle, Candidate, Files, Format, MAGIC_LEN, Workload};
use rustix::fs::{FileType, OFlags, fstat};

/// Whether the program is a WebAssembly module, as far as can be told from
/// outside of a container that is not made yet: its first bytes say so.
/// Nothing hangs on the answer but who makes the container.
pub fn is_module(bundle: &Bundle, workload: &Workload) -> bool {
    let inner = workload.without_init();
    let candidates = inner.as_ref().unwrap_or(workload).candidates();
    let files = Files::of(bundle);
    let open = |Candidate { path, .. }: &Candidate| {
        let file = files.open(path, READ).ok()?;
        let kind = FileType::from_raw_mode(fstat(&file).ok()?.st_mode);
        (kind == FileType::RegularFile).then(|| File::from(file))
    };
    let found = candidates.iter().find_map(open);
    found.is_some_and(|file| is_wasm(&file))
}

/// Without waiting, as a FIFO would make one wait.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

fn is_wasm(file: &File) -> bool {
    let mut head = Vec::new();
    let read = file.take(MAGIC_LEN as u64).read_to_end(&mut head);
    read.is_ok() && Format::of(&head) == Format::Module
}
