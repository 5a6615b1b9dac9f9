//! containerd: its version, and what its configuration says of us.

use super::Report;
use crate::config::document::{Document, HANDLER, is_ours};
use crate::config::place::{self, Place};
use crate::config::sources::{self, Source};
use crate::config::tables::ANNOTATIONS;
use crate::error::Result;
use crate::host::Host;
use crate::layout::{Kind, Layout};
use crate::processes;
use crate::version::Version;

const OLDEST: Version = Version::new(1, 6);

/// From here on, only one way of pulling unpacks images for wasi/wasm.
const TRANSFERS: Version = Version::new(2, 1);

const AGAIN: &str = "run `wasm-node-installer install`";

pub fn examine(report: &mut Report, host: &Host, layout: &Layout) {
    let version = Version::of_containerd(host);
    match version {
        Some(version) if version < OLDEST => report.problem(
            format!("containerd {version} is too old"),
            format!("install containerd {OLDEST} or later"),
        ),
        Some(version) => report.good(format!("containerd {version}")),
        None => report.warn(
            "no containerd tells its version: it is not on the PATH, or this pod lacks hostPID and privileged",
            "see that containerd is 1.6 or later",
        ),
    }
    if let Err(error) = configuration(report, host, layout, version) {
        report.problem(
            error,
            "containerd does not start with such a file: mend it by hand",
        );
    }
}

fn configuration(
    report: &mut Report,
    host: &Host,
    layout: &Layout,
    version: Option<Version>,
) -> Result<()> {
    let config = layout.config.display();
    let sources = sources::read(host, &layout.config)?;
    let Some(main) = sources.first() else {
        report.problem(
            format!("there is no {config}, so containerd knows no runtime {HANDLER:?}"),
            AGAIN,
        );
        return Ok(());
    };
    if let Err(error) = Document::parse(&main.path, &main.text)?.supported_version() {
        report.problem(error, AGAIN);
        return Ok(());
    }
    for source in &sources {
        if Document::parse(&source.path, &source.text)?.disables_cri() {
            report.problem(
                format!(
                    "{} switches pods off (disabled_plugins)",
                    source.path.display()
                ),
                "remove the entry, and restart containerd",
            );
        }
    }
    match sources::last(&sources, Document::handler)? {
        Some(kind) if is_ours(&kind) => {
            report.good(format!("{config} has the runtime {HANDLER:?}"));
        }
        Some(kind) => report.problem(
            format!("the runtime {HANDLER:?} of {config} is {kind:?}, not this shim"),
            "rename it, and run `wasm-node-installer install`",
        ),
        None if layout.kind == Kind::K0s => k0s(report, host)?,
        None => {
            report.problem(format!("{config} has no runtime {HANDLER:?}"), AGAIN);
            return Ok(());
        }
    }
    cgroup_driver(report, host, &sources)?;
    annotations(report, &sources)?;
    pulls(report, &sources, version)?;
    freshness(report, host, layout, &sources)?;
    Ok(())
}

/// containerd reads its files when it starts, and k3s makes them then.
fn freshness(report: &mut Report, host: &Host, layout: &Layout, sources: &[Source]) -> Result<()> {
    let Some(started) = processes::containerd_started(&layout.config) else {
        report.warn(
            format!(
                "no containerd that reads {} is running",
                layout.config.display()
            ),
            "start it; or give --config, if it reads another file; a pod needs hostPID to see it",
        );
        return Ok(());
    };
    let place = match place::find(host, layout, sources)? {
        Place::DropIn { file, .. } | Place::Block { file } | Place::Template { file } => file,
    };
    let paths = sources.iter().map(|source| &source.path).chain([&place]);
    let changed = paths.filter_map(|path| host.path(path).metadata().ok()?.modified().ok());
    if changed.max().is_some_and(|changed| started < changed) {
        report.problem(
            "containerd was started before its configuration was changed",
            "restart it; with KillMode=process in its unit, as is usual, pods go on running",
        );
    } else {
        report.good("containerd was started with this configuration");
    }
    Ok(())
}

/// k0s puts its drop-ins into a file that it makes anew.
fn k0s(report: &mut Report, host: &Host) -> Result<()> {
    const MERGED: &str = "/run/k0s/containerd-cri.toml";
    let text = host.read(MERGED)?.unwrap_or_default();
    if Document::parse(MERGED.as_ref(), &text)?
        .handler()
        .is_some_and(|kind| is_ours(&kind))
    {
        report.good(format!("{MERGED} has the runtime {HANDLER:?}"));
    } else {
        report.problem(
            format!("{MERGED} has no runtime {HANDLER:?}"),
            "run `wasm-node-installer install`; k0s takes it from /etc/k0s/containerd.d",
        );
    }
    Ok(())
}

/// kubelet, runc and we have to agree, or pods' limits and figures are wrong.
fn cgroup_driver(report: &mut Report, host: &Host, sources: &[Source]) -> Result<()> {
    let of = |handler: &'static str| {
        sources::last(sources, move |document| {
            document
                .runtime(handler)?
                .get("options")?
                .get("SystemdCgroup")?
                .as_bool()
        })
    };
    let ours = of(HANDLER)?.unwrap_or(false);
    let theirs = sources::last(sources, Document::systemd_cgroup)?.unwrap_or(false);
    if ours != theirs {
        report.problem(
            format!("SystemdCgroup is {ours} for {HANDLER:?}, and {theirs} for ordinary pods"),
            AGAIN,
        );
    }
    let kubelet = host
        .read("/var/lib/kubelet/config.yaml")?
        .unwrap_or_default();
    let driver = kubelet
        .lines()
        .find_map(|line| line.strip_prefix("cgroupDriver:"));
    let driver = driver.map(|driver| driver.trim().trim_matches(['"', '\'']));
    let wanted = if theirs { "systemd" } else { "cgroupfs" };
    if driver.is_some_and(|driver| driver != wanted) {
        report.problem(
            format!(
                "kubelet's cgroupDriver is {}, containerd's is {wanted}",
                driver.unwrap_or_default()
            ),
            "give both the same (SystemdCgroup in containerd's configuration), and install again",
        );
    } else if ours && !host.exists("/run/systemd/system") {
        report.problem(
            "SystemdCgroup is true, but systemd does not run here",
            "set SystemdCgroup = false for runc, and install again",
        );
    } else if ours == theirs {
        report.good(format!(
            "the cgroup driver is {wanted}, as for ordinary pods"
        ));
    }
    Ok(())
}

fn annotations(report: &mut Report, sources: &[Source]) -> Result<()> {
    for key in ["pod_annotations", "container_annotations"] {
        let listed = sources::last(sources, |document| {
            let array = document.runtime(HANDLER)?.get(key)?.as_array()?;
            Some(
                array
                    .iter()
                    .filter_map(|one| one.as_str().map(String::from))
                    .collect::<Vec<_>>(),
            )
        })?
        .unwrap_or_default();
        let missing: Vec<_> = ANNOTATIONS
            .into_iter()
            .filter(|name| !listed.iter().any(|one| one == name))
            .collect();
        if !missing.is_empty() {
            report.warn(
                format!("{key} of the runtime {HANDLER:?} lacks {}: such annotations have no effect", missing.join(", ")),
                "add them; if the runtime was made by hand, remove it and run `wasm-node-installer install`",
            );
        }
    }
    Ok(())
}

fn pulls(report: &mut Report, sources: &[Source], version: Option<Version>) -> Result<()> {
    let local = sources::last(sources, |document| document.pulls_locally().then_some(()))?;
    if version.is_some_and(|version| version >= TRANSFERS) && local.is_none() {
        report.warn(
            "images for wasi/wasm can't be pulled: containerd 2.1 and later unpack them only with \
             use_local_image_pull = true in plugin io.containerd.cri.v1.images",
            "set it, and restart containerd; images for linux/amd64 with a module in them do not need it",
        );
    }
    Ok(())
}
