//! The installed tree: shim, zygote, WasmEdge.

use std::fs;
use std::path::Path;

use super::Report;
use crate::bundle;
use crate::host::Host;
use crate::layout::{LINK, PREFIX, SHIM};

/// The file with the operator's settings, and the keys it can have
/// (shim/src/settings.rs).
const SETTINGS: &str = "/etc/containerd-shim-wasm/config.toml";
const KEYS: [&str; 5] = ["aot", "direct", "trace", "metrics", "otlp"];

const AGAIN: &str = "run `wasm-node-installer install` again";

pub fn examine(report: &mut Report, host: &Host) {
    match bundle::current(host) {
        Some(release) => examine_release(report, &release),
        None => report.problem(format!("no shim is installed in {PREFIX}"), AGAIN),
    }
    link(report, host);
    settings(report, host);
}

fn examine_release(report: &mut Report, release: &Path) {
    if bundle::is_whole(release) {
        report.good(format!("{} is as it was installed", release.display()));
    } else {
        report.problem(
            format!("files of {} are missing or were changed", release.display()),
            AGAIN,
        );
    }
    match bundle::check_shim(release) {
        Ok(()) => report.good("the shim runs, and says what it is"),
        Err(error) => report.problem(
            error,
            format!("{AGAIN}; if it stays, see whether {PREFIX} is mounted noexec"),
        ),
    }
    match bundle::check_zygote(release) {
        Ok(said) => report.good(format!("the zygote loads WasmEdge: {said}")),
        Err(error) => report.problem(
            error,
            format!("{AGAIN}: it brings WasmEdge with all its libraries"),
        ),
    }
}

fn link(report: &mut Report, host: &Host) {
    let link = host.link(Path::new(LINK));
    match fs::read_link(&link) {
        Ok(target) if target == Path::new(SHIM) => {
            report.good(format!("{LINK} leads to the shim, for ctr"));
        }
        Ok(target) => report.warn(
            format!("{LINK} leads to {}, another shim", target.display()),
            format!(
                "remove it and install again; until then `ctr run --runtime {SHIM}` takes this one"
            ),
        ),
        Err(_) if link.exists() => report.warn(
            format!("{LINK} is a file, perhaps of `make install`"),
            "pods don't use it; `ctr` does: remove it, if it is older than what is installed",
        ),
        Err(_) => report.warn(
            format!("there is no {LINK}"),
            format!("pods don't need it; `ctr` needs --runtime {SHIM}"),
        ),
    }
}

fn settings(report: &mut Report, host: &Host) {
    let text = match host.read(SETTINGS) {
        Ok(Some(text)) => text,
        Ok(None) => {
            return report.good(format!(
                "there is no {SETTINGS}: all settings are the defaults"
            ));
        }
        Err(error) => return report.problem(error, "make it a file that root can read"),
    };
    let parsed = toml_edit::Document::parse(text.as_str());
    let Ok(parsed) = parsed else {
        return report.problem(
            format!("{SETTINGS} is not TOML"),
            "see docs/operations.md for what it can say",
        );
    };
    let unknown: Vec<_> = parsed
        .iter()
        .map(|(key, _)| key)
        .filter(|key| !KEYS.contains(key))
        .collect();
    if unknown.is_empty() {
        report.good(format!("{SETTINGS} can be read"));
    } else {
        report.problem(
            format!(
                "{SETTINGS} has keys that the shim does not know, so no container starts: {}",
                unknown.join(", ")
            ),
            "remove them; docs/operations.md lists all keys",
        );
    }
}
