//! A pod's sandbox, as kubelet asks for one.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use k8s_cri::v1::{
    ContainerConfig, LinuxPodSandboxConfig, LinuxSandboxSecurityContext, ListPodSandboxRequest,
    NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxFilter, PodSandboxMetadata,
    PodSandboxStats, PodSandboxStatsRequest, PodSandboxStatus, PodSandboxStatusRequest,
    RemovePodSandboxRequest, RunPodSandboxRequest, StopPodSandboxRequest,
};
use shim_test::{cgroup, cri, paths};

use super::case::Case;
use super::client::{Client, Result};
use super::container::Container;

/// Says whose a pod is.
const LABEL: &str = "test";

/// A sandbox that runs.
#[derive(Debug)]
pub struct Pod<'a> {
    pub case: &'a Case,
    pub id: String,
    pub config: PodSandboxConfig,
}

impl<'a> Pod<'a> {
    pub fn run(case: &'a Case, name: &str, edit: impl FnOnce(&mut PodSandboxConfig)) -> Self {
        let pod = Self::try_run(case, name, edit);
        pod.unwrap_or_else(|error| panic!("RunPodSandbox {name}: {error}"))
    }

    pub fn try_run(
        case: &'a Case,
        name: &str,
        edit: impl FnOnce(&mut PodSandboxConfig),
    ) -> Result<Self> {
        let mut config = config(case, name);
        edit(&mut config);
        let request = RunPodSandboxRequest {
            config: Some(config.clone()),
            runtime_handler: if paths::runs_wasm() {
                cri::readme::handler()
            } else {
                "runc".into()
            },
        };
        let client = case.client();
        let answer = client.call(async |cri| cri.run_pod_sandbox(request).await)?;
        case.remember(&answer.pod_sandbox_id);
        Ok(Self {
            case,
            id: answer.pod_sandbox_id,
            config,
        })
    }

    /// Creates a container of the guest's image; `args` are those of the guest.
    pub fn create(
        &self,
        name: &str,
        args: &[&str],
        edit: impl FnOnce(&mut ContainerConfig),
    ) -> Container<'_> {
        let container = Container::create(self, name, args, edit);
        container.unwrap_or_else(|error| panic!("CreateContainer {name}: {error}"))
    }

    /// The same, and starts it.
    pub fn start(
        &self,
        name: &str,
        args: &[&str],
        edit: impl FnOnce(&mut ContainerConfig),
    ) -> Container<'_> {
        let container = self.create(name, args, edit);
        let started = container.start();
        started.unwrap_or_else(|error| panic!("StartContainer {name}: {error}"));
        container
    }

    pub fn status(&self) -> PodSandboxStatus {
        let request = PodSandboxStatusRequest {
            pod_sandbox_id: self.id.clone(),
            verbose: false,
        };
        let client = self.case.client();
        let answer = client.call(async |cri| cri.pod_sandbox_status(request).await);
        answer.expect("PodSandboxStatus").status.expect("a status")
    }

    /// Its address in the pods' network.
    pub fn address(&self) -> String {
        self.status().network.expect("a network").ip
    }

    pub fn stats(&self) -> PodSandboxStats {
        let request = PodSandboxStatsRequest {
            pod_sandbox_id: self.id.clone(),
        };
        let client = self.case.client();
        let answer = client.call(async |cri| cri.pod_sandbox_stats(request).await);
        answer.expect("PodSandboxStats").stats.expect("stats")
    }

    /// The cgroup above those of its containers.
    pub fn cgroup(&self) -> &str {
        let linux = self.config.linux.as_ref();
        &linux.expect("set by config()").cgroup_parent
    }

    /// Where its containers' logs are.
    pub fn logs(&self) -> PathBuf {
        PathBuf::from(&self.config.log_directory)
    }

    pub fn stop(&self) {
        stop(self.case.client(), &self.id).expect("StopPodSandbox");
    }

    /// Stops and removes it with its containers.
    pub fn remove(self) {
        remove(self.case.client(), &self.id).expect("RemovePodSandbox");
        remove_group(self.cgroup());
    }
}

fn config(case: &Case, name: &str) -> PodSandboxConfig {
    let logs = case.folder("logs").join(name);
    fs::create_dir_all(&logs).expect("a folder for logs");
    let group = case.server.containerd.group();
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: name.into(),
            uid: name.into(),
            namespace: "default".into(),
            attempt: 0,
        }),
        hostname: name.into(),
        log_directory: logs.display().to_string(),
        labels: HashMap::from([(LABEL.into(), case.name().into())]),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: cgroup_path(group, name),
            security_context: Some(LinuxSandboxSecurityContext {
                namespace_options: Some(namespaces()),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What kubelet asks for by default: a pod's containers share all but processes.
pub fn namespaces() -> NamespaceOption {
    NamespaceOption {
        network: NamespaceMode::Pod.into(),
        pid: NamespaceMode::Container.into(),
        ipc: NamespaceMode::Pod.into(),
        ..Default::default()
    }
}

/// The pods of a test, or all: ids and names.
pub fn list(client: &Client, test: Option<&str>) -> Result<Vec<(String, String)>> {
    let label = |test: &str| HashMap::from([(LABEL.into(), test.into())]);
    let request = ListPodSandboxRequest {
        filter: Some(PodSandboxFilter {
            label_selector: test.map(label).unwrap_or_default(),
            ..Default::default()
        }),
    };
    let answer = client.call(async |cri| cri.list_pod_sandbox(request).await)?;
    let name = |metadata: Option<PodSandboxMetadata>| metadata.unwrap_or_default().name;
    let pods = answer.items.into_iter();
    Ok(pods.map(|pod| (pod.id, name(pod.metadata))).collect())
}

/// Removes what is left, after a failure. `group`: the cgroup above all pods'.
pub fn remove_all(client: &Client, group: &str, test: Option<&str>) {
    let removed = list(client, test).and_then(|pods| {
        pods.iter().try_for_each(|(id, name)| {
            remove(client, id)?;
            remove_group(&cgroup_path(group, name));
            Ok(())
        })
    });
    if let Err(error) = removed {
        eprintln!("pods can't be removed: {error}");
    }
}

fn stop(client: &Client, id: &str) -> Result<()> {
    let stop = StopPodSandboxRequest {
        pod_sandbox_id: id.into(),
    };
    client.call(async |cri| cri.stop_pod_sandbox(stop).await)?;
    Ok(())
}

fn remove(client: &Client, id: &str) -> Result<()> {
    stop(client, id)?;
    let remove = RemovePodSandboxRequest {
        pod_sandbox_id: id.into(),
    };
    client.call(async |cri| cri.remove_pod_sandbox(remove).await)?;
    Ok(())
}

fn cgroup_path(group: &str, pod: &str) -> String {
    format!("/{group}/pod-{pod}")
}

/// A pod's cgroup is kubelet's to remove.
fn remove_group(path: &str) {
    for folder in cgroup::folders(path) {
        fs::remove_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    }
}
