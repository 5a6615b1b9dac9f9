use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Key, Store};

/// A folder that goes with the test.
pub struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn store() -> (Folder, Store) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "store-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let store = Store::at(std::env::temp_dir().join(name));
    let _ = fs::remove_dir_all(store.folder());
    store.create().unwrap();
    (Folder(store.folder().to_owned()), store)
}

pub fn key(module: u32) -> Key {
    Key::parse(&format!("0.14.1-cpu-{module:x}")).unwrap()
}

/// A hundred bytes to be code.
pub fn code() -> File {
    let (_folder, store) = store();
    let path = store.folder().join("code");
    let mut file = File::create_new(&path).unwrap();
    file.write_all(&[7; 100]).unwrap();
    file.rewind().unwrap();
    File::open(path).unwrap()
}
