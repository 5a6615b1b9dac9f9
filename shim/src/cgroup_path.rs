//! Where cgroups are: the mounted hierarchies, and a container's place in each.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use oci::MountInfo;

use crate::error::{Context, Error, Result};

/// How much of a list of mounts to read at a time: the kernel makes it as it is read.
const CHUNK: usize = 4096;

/// A mounted hierarchy of cgroups.
#[derive(Debug)]
pub struct Hierarchy {
    pub target: PathBuf,
    /// `None` for v2.
    pub controllers: Option<Vec<String>>,
}

impl Hierarchy {
    /// The hierarchies that are mounted. They were before any container, whose
    /// mounts come after theirs, and may be thousands: so reading ends where all
    /// are found that this process is in.
    pub fn mounted() -> Result<Vec<Self>> {
        let path = "/proc/self/cgroup";
        let own = std::fs::read_to_string(path).at("can't read", path)?;
        let path = "/proc/self/mountinfo";
        let mut file = File::open(path).at("can't open", path)?;
        let mut text = Vec::new();
        loop {
            let before = text.len();
            text.resize(before + CHUNK, 0);
            let read = file.read(&mut text[before..]).at("can't read", path)?;
            text.truncate(before + read);
            let whole = text.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
            let found = Self::list(&String::from_utf8_lossy(&text[..whole]));
            if read == 0 || has_all(&found, &own) {
                return Ok(found);
            }
        }
    }

    /// The hierarchies among the lines of /proc/self/mountinfo, the named ones
    /// (systemd's) left out: no container is put there. One that is mounted
    /// twice counts once.
    pub fn list(mountinfo: &str) -> Vec<Self> {
        let mut seen = BTreeSet::new();
        MountInfo::list(mountinfo)
            .filter_map(|mount| {
                let controllers = match mount.kind {
                    "cgroup2" => None,
                    "cgroup" => Some(controllers(mount.options)?),
                    _ => return None,
                };
                seen.insert(controllers.clone()).then_some(Self {
                    target: mount.target,
                    controllers,
                })
            })
            .collect()
    }
}

/// Whether these are all hierarchies that are used: those of v1 with controllers
/// among the lines of /proc/self/cgroup (cgroups(7)), or else that of v2.
fn has_all(found: &[Hierarchy], own: &str) -> bool {
    let sorted = |controllers: &mut dyn Iterator<Item = &str>| -> BTreeSet<String> {
        controllers.map(str::to_owned).collect()
    };
    let found: BTreeSet<_> = found
        .iter()
        .map(|hierarchy| {
            let controllers = hierarchy.controllers.iter().flatten();
            sorted(&mut controllers.map(String::as_str))
        })
        .collect();
    let mut used: BTreeSet<_> = own
        .lines()
        .filter_map(|line| line.split(':').nth(1))
        .filter(|controllers| !controllers.is_empty() && !controllers.starts_with("name="))
        .map(|controllers| sorted(&mut controllers.split(',')))
        .collect();
    if used.is_empty() {
        // v2 lists none.
        used.insert(BTreeSet::new());
    }
    used.is_subset(&found)
}

/// `None` for a named hierarchy.
fn controllers(options: &str) -> Option<Vec<String>> {
    let mut controllers = Vec::new();
    for option in options.split(',') {
        match option {
            "rw" | "ro" => {}
            named if named.starts_with("name=") => return None,
            controller => controllers.push(controller.to_owned()),
        }
    }
    Some(controllers)
}

/// Where libcontainer puts a container's cgroup, as a path from the roots of
/// the hierarchies. `path` is `linux.cgroupsPath`.
pub fn from_root(path: Option<&Path>, id: &str, systemd: bool) -> Result<PathBuf> {
    let given = match path {
        Some(path) => path.to_string_lossy().into_owned(),
        // libcontainer's own default.
        None => format!(":youki:{id}"),
    };
    let place = if systemd && !given.starts_with('/') {
        systemd_path(&given)
    } else {
        given.trim_start_matches('/').into()
    };
    let stays_below = place
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let has_name = place
        .components()
        .any(|part| matches!(part, Component::Normal(_)));
    if stays_below && has_name {
        return Ok(place);
    }
    Err(Error::Invalid(format!(
        "linux.cgroupsPath {given:?} is no place for a container; \
         name a cgroup of its own, without \"..\", below the root"
    )))
}

/// Whether `linux.cgroupsPath` is one for systemd, `slice:prefix:name`. kubelet and
/// Docker write it so when systemd is their cgroup driver, and not all of them have
/// a way to say it in the runtime's options too (containerd 1.6, Docker).
pub fn is_systemd(path: Option<&Path>) -> bool {
    let mut parts = path.and_then(Path::to_str).unwrap_or_default().split(':');
    let slice = parts.next().unwrap_or_default();
    parts.count() == 2 && !slice.starts_with('/') && (slice.is_empty() || slice.ends_with(".slice"))
}

/// `slice:prefix:name` as systemd lays it out: `a-b.slice` lies in `a.slice`.
fn systemd_path(text: &str) -> PathBuf {
    let mut parts = text.splitn(3, ':');
    let slice = parts
        .next()
        .filter(|slice| !slice.is_empty())
        .unwrap_or("system.slice");
    let prefix = parts.next().unwrap_or_default();
    let name = parts.next().unwrap_or_default();
    let mut path = PathBuf::new();
    let stem = slice.trim_end_matches(".slice");
    if stem != "-" {
        for (end, _) in stem.match_indices('-').chain([(stem.len(), "")]) {
            path.push(format!("{}.slice", &stem[..end]));
        }
    }
    if prefix.is_empty() {
        path.join(format!("{name}.scope"))
    } else {
        path.join(format!("{prefix}-{name}.scope"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_paths_are_laid_out_as_systemd_does() {
        let path = |text| from_root(Some(Path::new(text)), "a", true).unwrap();
        assert_eq!(
            path("kubepods-besteffort-pod1.slice:cri-containerd:a"),
            Path::new(
                "kubepods.slice/kubepods-besteffort.slice/\
                 kubepods-besteffort-pod1.slice/cri-containerd-a.scope"
            )
        );
        assert_eq!(path(":docker:x"), Path::new("system.slice/docker-x.scope"));
        assert_eq!(path("-.slice::x"), Path::new("x.scope"));
        assert_eq!(path("/plain/a"), Path::new("plain/a"));
    }

    #[test]
    fn reading_ends_when_all_hierarchies_are_found() {
        let found = |mounts: &[(&str, &str)]| -> Vec<Hierarchy> {
            let line = |(kind, options): &(&str, &str)| {
                format!("1 1 0:1 / /c/{options} rw - {kind} {kind} rw,{options}\n")
            };
            Hierarchy::list(&mounts.iter().map(line).collect::<String>())
        };
        let hybrid = "3:cpu,cpuacct:/\n2:memory:/a\n1:name=systemd:/\n0::/\n";
        let (cpu, memory) = (("cgroup", "cpuacct,cpu"), ("cgroup", "memory"));
        let named = ("cgroup", "name=systemd");
        assert!(has_all(&found(&[memory, cpu]), hybrid));
        assert!(!has_all(&found(&[cpu, named, ("cgroup2", "")]), hybrid));
        assert!(!has_all(&found(&[]), "0::/\n"));
        assert!(has_all(&found(&[("cgroup2", "")]), "0::/\n"));
    }

    #[test]
    fn systemd_paths_are_told_by_their_form() {
        for (path, systemd) in [
            (Some("kubepods-burstable.slice:cri-containerd:a"), true),
            (Some(":docker:x"), true),
            (Some("/k8s.io/a"), false),
            (Some("/a.slice:b:c"), false),
            (Some("a:b:c"), false),
            (Some("a.slice:b"), false),
            (None, false),
        ] {
            assert_eq!(is_systemd(path.map(Path::new)), systemd, "{path:?}");
        }
    }

    #[test]
    fn without_a_path_it_is_where_libcontainer_puts_it() {
        assert_eq!(from_root(None, "a", false).unwrap(), Path::new(":youki:a"));
        assert_eq!(
            from_root(None, "a", true).unwrap(),
            Path::new("system.slice/youki-a.scope")
        );
    }

    #[test]
    fn no_container_gets_the_root_or_a_place_beside_its_own() {
        for (text, systemd) in [
            ("/", false),
            ("", false),
            ("/.", false),
            ("//", true),
            ("..", false),
            ("/a/../..", false),
            ("../..:x:y/../../z", true),
        ] {
            let error = from_root(Some(Path::new(text)), "a", systemd).unwrap_err();
            assert!(error.to_string().contains("linux.cgroupsPath"), "{text}");
        }
    }
}
