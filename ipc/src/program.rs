use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The zygote's program in `files`, the folder that it is installed in with its
/// libraries, as it is found at `seen` when it starts. If the folder has
/// libraries of its own, the program runs with their loader: they may be for a
/// newer libc than the system's. Nothing of the environment comes along.
pub fn zygote_program(files: &Path, seen: &Path) -> Command {
    const LOADER: &str = "runtime/ld-linux-x86-64.so.2";
    let program = seen.join("wasm-zygote");
    let mut command = if files.join(LOADER).exists() {
        let mut command = Command::new(seen.join(LOADER));
        command
            .arg("--library-path")
            .arg(seen.join("runtime"))
            .args(["--argv0", "wasm-zygote"])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    command.arg0("wasm-zygote").current_dir("/").env_clear();
    command
}
