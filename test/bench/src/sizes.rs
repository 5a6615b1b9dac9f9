//! How large the same program is, native and as a module.

use std::fs;
use std::path::Path;

use shim_test::paths;

use crate::report::Report;

pub fn measure(report: &mut Report) {
    let kernels = paths::workspace().join("target/bench");
    for (what, native, module) in [
        (
            "size of hello in Rust",
            paths::guest("guest.native"),
            paths::guest("guest.wasm"),
        ),
        (
            "size of kernels in C",
            kernels.join("kernels.native"),
            kernels.join("kernels.wasm"),
        ),
    ] {
        report.add(
            what,
            "KB",
            vec![("native", kilobytes(&native)), ("wasm", kilobytes(&module))],
        );
    }
}

fn kilobytes(file: &Path) -> f64 {
    let length = fs::metadata(file).map(|metadata| metadata.len());
    length.unwrap_or_else(|error| panic!("{}: {error}", file.display())) as f64 / 1e3
}
