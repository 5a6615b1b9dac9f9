//! The `wasm-oci` of the installed tree.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::command::{self, Output};
use crate::paths;

/// More than any module here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// The command, ready for its arguments, with nothing of this machine's
/// environment that would change what it writes.
pub fn command() -> Command {
    let mut command = Command::new(paths::shim_tree().join("bin/wasm-oci"));
    command.env_remove("SOURCE_DATE_EPOCH");
    command
}

/// `wasm-oci pack MODULE -o ARCHIVE FLAGS`, which must succeed.
pub fn pack(module: &Path, archive: &Path, flags: &[&str]) -> Output {
    let mut command = command();
    command.arg("pack").arg(module).arg("-o").arg(archive);
    command.args(flags);
    let output = command::output(command, LIMIT);
    output.expect_code(0);
    output
}

/// `wasm-oci inspect --json ARCHIVE`, which must find nothing wrong.
pub fn inspect(archive: &Path) -> serde_json::Value {
    let mut command = command();
    command.args(["inspect", "--json"]).arg(archive);
    let output = command::output(command, LIMIT);
    serde_json::from_str(&output.success()).expect("JSON of wasm-oci")
}
