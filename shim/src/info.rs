use std::io::{Read, Write};

use containerd_shim_protos::protobuf::{Message, MessageField};
use containerd_shim_protos::types::introspection::{RuntimeInfo, RuntimeVersion};

use crate::error::{Context, Result};

/// The runtime's name, as users write it.
pub const RUNTIME_NAME: &str = "io.containerd.wasm.v1";

/// Answers `-info` (containerd 2.0 and later, Docker): the runtime options come
/// in on standard input and change nothing here; what this is goes out.
pub fn print() -> Result<()> {
    let mut options = Vec::new();
    std::io::stdin()
        .read_to_end(&mut options)
        .context("can't read the runtime options")?;
    let info = RuntimeInfo {
        name: RUNTIME_NAME.into(),
        version: MessageField::some(RuntimeVersion {
            version: env!("CARGO_PKG_VERSION").into(),
            revision: option_env!("SHIM_REVISION").unwrap_or_default().into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    std::io::stdout()
        .write_all(&info.write_to_bytes()?)
        .context("can't answer containerd")
}
