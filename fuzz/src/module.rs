//! The outline of any module, and what memory it is given.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use oci::{Budget, Format, Sections};

fuzz_target!(|input: (u32, &[u8])| {
    let (limit, module) = input;
    let _ = Format::of(module);
    let length = module.len() as u64;
    let found = Sections::read(&mut Cursor::new(module), length).expect("memory can be read");
    assert!(found.code <= length && found.memories <= length);
    assert!(found.largest <= found.pages);
    let mut budget = Budget::new(Some(limit.into()));
    if budget.take("module", &found).is_ok() {
        let linear = u64::from(budget.max_pages()) << 16;
        assert!(linear <= u64::from(limit) && budget.max_pages() <= 65536);
    }
});
