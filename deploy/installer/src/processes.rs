//! What runs on the node, from /proc, which shows it to a pod with `hostPID`.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

fn pids() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .map(|entry| entry.path())
}

/// The configuration files of the containerds that run now.
pub fn containerd_configs() -> Vec<String> {
    pids()
        .filter_map(|process| config_of(&command_line(&process)))
        .collect()
}

/// When the containerd with this configuration was started.
pub fn containerd_started(config: &Path) -> Option<SystemTime> {
    let reads = |process: &PathBuf| {
        config_of(&command_line(process)).is_some_and(|file| Path::new(&file) == config)
    };
    let stat = fs::read_to_string(pids().find(reads)?.join("stat")).ok()?;
    // The end of the tick: it counts from the boot, of which /proc/stat knows no
    // more than the second.
    let ticks = start_ticks(&stat)? + 1;
    let after_boot = ticks.checked_mul(1000)? / rustix::param::clock_ticks_per_second();
    let up = Duration::try_from(clock_gettime(ClockId::Boottime)).ok()?;
    SystemTime::now().checked_sub(up.checked_sub(Duration::from_millis(after_boot))?)
}

/// Field 22 of proc_pid_stat(5); the second may have spaces.
fn start_ticks(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()
}

fn command_line(process: &Path) -> Vec<String> {
    let bytes = fs::read(process.join("cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.split_terminator('\0').map(String::from).collect()
}

/// Of `containerd --config FILE`; without the flag it has a default.
fn config_of(line: &[String]) -> Option<String> {
    let (program, args) = line.split_first()?;
    if Path::new(program).file_name()? != "containerd" {
        return None;
    }
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let flag = arg.trim_start_matches('-');
        match flag.split_once('=') {
            Some(("config" | "c", file)) => return Some(file.into()),
            None if matches!(flag, "config" | "c") && arg.starts_with('-') => {
                return args.next().cloned();
            }
            _ => {}
        }
    }
    Some("/etc/containerd/config.toml".into())
}

/// How many processes run programs from this folder. They are told by the files
/// themselves, as paths look different from another mount namespace.
pub fn running_from(folder: &Path) -> usize {
    let mut programs = HashSet::new();
    collect(folder, &mut programs);
    count(&programs)
}

/// How many processes run this program.
pub fn running(program: &Path) -> usize {
    let data = fs::metadata(program).ok();
    count(
        &data
            .map(|data| (data.dev(), data.ino()))
            .into_iter()
            .collect(),
    )
}

fn count(programs: &HashSet<(u64, u64)>) -> usize {
    let runs = |process: &PathBuf| {
        fs::metadata(process.join("exe"))
            .is_ok_and(|exe| programs.contains(&(exe.dev(), exe.ino())))
    };
    pids().filter(runs).count()
}

fn collect(folder: &Path, programs: &mut HashSet<(u64, u64)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(data) if data.is_dir() => collect(&entry.path(), programs),
            Ok(data) if data.is_file() => drop(programs.insert((data.dev(), data.ino()))),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_on_containerds_command_line() {
        let config = |line: &str| config_of(&line.split(' ').map(String::from).collect::<Vec<_>>());
        for (line, file) in [
            ("/usr/bin/containerd", Some("/etc/containerd/config.toml")),
            ("containerd -c /k3s/config.toml", Some("/k3s/config.toml")),
            (
                "/k0s/bin/containerd --root=/x --config=/etc/k0s/containerd.toml",
                Some("/etc/k0s/containerd.toml"),
            ),
            ("containerd-shim-runc-v2 -id a", None),
            ("/usr/bin/dockerd", None),
        ] {
            assert_eq!(config(line).as_deref(), file, "{line}");
        }
    }

    #[test]
    fn the_start_is_the_22nd_field() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        assert_eq!(start_ticks(stat), Some(4711));
        assert_eq!(start_ticks(""), None);
    }

    #[test]
    fn a_process_is_known_by_its_file() {
        let own = std::env::current_exe().unwrap();
        assert!(running_from(own.parent().unwrap()) > 0);
        assert_eq!(running_from(Path::new("/proc/self/task")), 0);
    }
}
