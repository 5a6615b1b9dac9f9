use std::fs::File;

use libcontainer::namespaces::Namespaces;
use nix::sched::{CloneFlags, setns, unshare};
use oci::spec::{LinuxNamespace, LinuxNamespaceType};

use crate::error::chain;

/// Namespaces that the calling process has entered before it knew its container.
/// Those that another container shares with others are left again.
#[derive(Debug)]
pub struct Fresh(Vec<(CloneFlags, LinuxNamespaceType, File)>);

/// Those that nearly all containers have, and where the kernel shows them.
const KINDS: [(CloneFlags, LinuxNamespaceType, &str); 3] = [
    (CloneFlags::CLONE_NEWUTS, LinuxNamespaceType::Uts, "uts"),
    (CloneFlags::CLONE_NEWIPC, LinuxNamespaceType::Ipc, "ipc"),
    (CloneFlags::CLONE_NEWNET, LinuxNamespaceType::Network, "net"),
];

impl Fresh {
    /// `own_network`: one of the network too, which takes longest by far.
    pub fn enter(own_network: bool) -> Self {
        let wanted = KINDS
            .into_iter()
            .filter(|(flag, ..)| own_network || *flag != CloneFlags::CLONE_NEWNET);
        let entered = wanted.filter_map(|(flag, kind, name)| {
            let before = File::open(format!("/proc/self/ns/{name}")).ok()?;
            // What fails here is tried again, and told, when it is wanted.
            unshare(flag).ok().map(|()| (flag, kind, before))
        });
        Self(entered.collect())
    }

    /// Enters those that are wanted, but for those of pids, which the process has
    /// from its fork, of mounts, and of cgroups: it is not in its own yet.
    pub fn become_wanted(self, wanted: &Wanted) -> Result<(), String> {
        let mut made = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
        made |= CloneFlags::CLONE_NEWCGROUP;
        for (flag, kind, before) in self.0 {
            match wanted.0.get(kind).map_err(|error| said(&error))? {
                Some(namespace) if namespace.path().is_none() => made |= flag,
                Some(_) => {}
                None => setns(before, flag).map_err(|error| said(&error))?,
            }
        }
        wanted.apply(|flag| !made.contains(flag))
    }
}

/// `linux.namespaces`.
pub struct Wanted(Namespaces);

impl Wanted {
    pub fn new(namespaces: Option<&Vec<LinuxNamespace>>) -> Result<Self, String> {
        let namespaces = Namespaces::try_from(namespaces).map_err(|error| said(&error))?;
        Ok(Self(namespaces))
    }

    /// Makes or joins some of them.
    pub fn apply(&self, which: impl Fn(CloneFlags) -> bool) -> Result<(), String> {
        self.0.apply_namespaces(which).map_err(|error| said(&error))
    }

    /// Whether the container has its own of this kind.
    pub fn has_new(&self, kind: LinuxNamespaceType) -> bool {
        let wanted = self.0.get(kind);
        matches!(wanted, Ok(Some(namespace)) if namespace.path().is_none())
    }
}

fn said(error: &dyn std::error::Error) -> String {
    format!("linux.namespaces: {}", chain(error))
}
