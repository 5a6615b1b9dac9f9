//! A private libwasmedge was built for a newer libc than this machine may have:
//! the shim then runs with the loader that came with it (docs/design.md,
//! "WasmEdge, and where it comes from").
use std::env;
use std::path::Path;

fn main() {
    println!("cargo:rustc-link-arg=-Wl,--allow-shlib-undefined");
    let link = env::var("WASMEDGE_LIB_DIR").unwrap_or_default();
    let Some(lib) = Path::new(&link).parent().map(|folder| folder.join("lib")) else {
        return;
    };
    let loader = lib.join("ld-linux-x86-64.so.2");
    if loader.exists() {
        println!("cargo:rustc-link-arg=-Wl,--dynamic-linker={}", loader.display());
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    }
}
