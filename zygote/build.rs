//! Lets the zygote link against a libwasmedge that was built for a newer libc
//! than this machine has: it runs with that libc's own loader (see
//! docs/design.md, "WasmEdge, and where it comes from").
fn main() {
    println!("cargo:rustc-link-arg=-Wl,--allow-shlib-undefined");
    println!("cargo:rerun-if-changed=build.rs");
}
