use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::*;
use crate::digest;
use crate::module::tests::SMALL;

fn tar(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (path, kind, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

const FILE: EntryType = EntryType::Regular;

fn paths(modules: &Modules) -> Vec<&str> {
    modules.keys().map(|path| path.to_str().unwrap()).collect()
}

fn scan(bytes: &[u8], modules: &mut Modules) -> Result<Scanned, String> {
    let mut problems = Vec::new();
    let scanned = layer(bytes, modules, &mut problems);
    assert_eq!(problems, [""; 0]);
    scanned
}

#[test]
fn compression_changes_nothing_but_the_digest() {
    let plain = tar(&[("app.wasm", FILE, SMALL), ("text", FILE, b"hello")]);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(
        plain.as_slice(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    for bytes in [&plain, &gzip, &zstd] {
        let mut modules = Modules::new();
        let scanned = scan(bytes, &mut modules).unwrap();
        assert_eq!(scanned.diff_id, digest::of(&plain));
        assert_eq!(scanned.digest, digest::of(bytes));
        assert_eq!(paths(&modules), ["/app.wasm"]);
        let found = &modules[Path::new("/app.wasm")];
        assert_eq!((found.size, found.format), (SMALL.len() as u64, "module"));
        assert_eq!(found.content.imports[0].module, "env");
    }
}

#[test]
fn upper_layers_replace_and_delete() {
    let mut modules = Modules::new();
    let component: &[u8] = b"\0asm\x0d\0\x01\0";
    let lower = tar(&[
        ("a/one", FILE, SMALL),
        ("a/two", FILE, SMALL),
        ("b/three", FILE, SMALL),
        ("c/four", FILE, SMALL),
        ("d", FILE, SMALL),
    ]);
    scan(&lower, &mut modules).unwrap();
    assert_eq!(modules.len(), 5);
    let upper = tar(&[
        ("a/.wh.one", FILE, b""),
        ("b/new", FILE, component),
        ("b/.wh..wh..opq", FILE, b""),
        ("c", EntryType::Directory, b""),
        ("d", FILE, b"text"),
    ]);
    scan(&upper, &mut modules).unwrap();
    assert_eq!(paths(&modules), ["/a/two", "/b/new", "/c/four"]);
    assert_eq!(modules[Path::new("/b/new")].format, "component");
}

#[test]
fn a_malformed_module_is_a_problem() {
    let mut problems = Vec::new();
    let bytes = tar(&[("bad", FILE, &SMALL[..40])]);
    layer(bytes.as_slice(), &mut Modules::new(), &mut problems).unwrap();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("/bad is malformed"), "{problems:?}");
}

/// A long name is read into memory as a whole, so it must have an end.
#[test]
fn a_name_of_any_length_is_refused() {
    let mut header = Header::new_gnu();
    header.set_path("././@LongLink").unwrap();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(8 << 30);
    header.set_cksum();
    let bytes = header.as_bytes().chain(io::repeat(b'a'));
    let mut problems = Vec::new();
    let error = layer(bytes, &mut Modules::new(), &mut problems).unwrap_err();
    assert!(error.contains("too long"), "{error}");
}

#[test]
fn cut_and_flipped_bytes_are_told_and_do_no_harm() {
    let plain = tar(&[("app.wasm", FILE, SMALL)]);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut problems = Vec::new();
    for end in 4..gzip.len() - 1 {
        let cut = layer(&gzip[..end], &mut Modules::new(), &mut problems);
        assert!(cut.is_err(), "{end}");
    }
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let zstd = ruzstd::encoding::compress_to_vec(plain.as_slice(), level);
    for bytes in [&plain, &gzip, &zstd] {
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x55;
            drop(layer(bytes.as_slice(), &mut Modules::new(), &mut problems));
        }
    }
}
