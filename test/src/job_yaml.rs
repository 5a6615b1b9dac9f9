//! The Kubernetes Jobs in `deploy/examples`, as far as they say what a container
//! is to be. A field that is not known here is an error: it would not be
//! compared with anything.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::wanted::{Mount, Wanted};

/// A Job of one container.
#[derive(Debug)]
pub struct Job {
    pub wanted: Wanted,
    /// After how many seconds it is ended.
    pub deadline: Option<u64>,
    /// Whether it waits for input.
    pub stdin: bool,
    /// The paths on the host by the mounts' destinations, and whether each is a folder.
    pub sources: BTreeMap<String, bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: JobSpec,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct JobSpec {
    backoff_limit: u32,
    active_deadline_seconds: Option<u64>,
    template: Template,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    #[serde(default)]
    metadata: Metadata,
    spec: Pod,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Pod {
    runtime_class_name: String,
    restart_policy: String,
    containers: [Container; 1],
    #[serde(default)]
    volumes: Vec<Volume>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Container {
    name: String,
    image: String,
    image_pull_policy: String,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: Vec<Variable>,
    #[serde(default)]
    stdin: bool,
    #[serde(default)]
    stdin_once: bool,
    #[serde(default)]
    resources: Resources,
    #[serde(default)]
    volume_mounts: Vec<VolumeMount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    name: String,
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Resources {
    limits: Limits,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Limits {
    cpu: Option<String>,
    memory: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct VolumeMount {
    name: String,
    mount_path: String,
    #[serde(default)]
    read_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Volume {
    name: String,
    host_path: HostPath,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostPath {
    path: String,
    r#type: String,
}

impl Job {
    /// Panics at what is no such Job, with the reason.
    pub fn parse(text: &str) -> Self {
        let file: File = serde_norway::from_str(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            (file.api_version.as_str(), file.kind.as_str()),
            ("batch/v1", "Job")
        );
        assert!(file.metadata.name.is_some() && file.metadata.annotations.is_empty());
        let Template {
            metadata,
            spec: pod,
        } = file.spec.template;
        assert_eq!(
            (metadata.name, pod.runtime_class_name.as_str()),
            (None, "wasm")
        );
        // A job that fails is looked at, not run again.
        assert_eq!(
            (file.spec.backoff_limit, pod.restart_policy.as_str()),
            (0, "Never")
        );
        let [container] = pod.containers;
        assert!(!container.name.is_empty());
        assert_eq!(container.image_pull_policy, "Never");
        assert_eq!(container.stdin, container.stdin_once, "stdin would not end");
        let limits = container.resources.limits;
        let (mounts, sources) = mounts(container.volume_mounts, &pod.volumes);
        let wanted = Wanted {
            image: container.image,
            command: [container.command, container.args].concat(),
            env: container
                .env
                .into_iter()
                .map(|one| (one.name, one.value))
                .collect(),
            annotations: metadata.annotations,
            mounts,
            memory: limits.memory.as_deref().map(bytes),
            cpus: limits.cpu,
        };
        Self {
            wanted,
            deadline: file.spec.active_deadline_seconds,
            stdin: container.stdin,
            sources,
        }
    }
}

fn mounts(
    mounts: Vec<VolumeMount>,
    volumes: &[Volume],
) -> (BTreeMap<String, Mount>, BTreeMap<String, bool>) {
    assert_eq!(
        mounts.len(),
        volumes.len(),
        "a volume that nothing mounts, or that is mounted twice"
    );
    let one = |mount: VolumeMount| {
        let volume = volumes.iter().find(|volume| volume.name == mount.name);
        let source = &volume
            .unwrap_or_else(|| panic!("no volume {}", mount.name))
            .host_path;
        let is_folder = match source.r#type.as_str() {
            "Directory" => true,
            "File" => false,
            other => panic!("hostPath of type {other}"),
        };
        let described = Mount::new(&source.path, mount.read_only);
        (
            (mount.mount_path.clone(), described),
            (mount.mount_path, is_folder),
        )
    };
    mounts.into_iter().map(one).unzip()
}

/// `1Gi`, `512Mi`.
fn bytes(quantity: &str) -> u64 {
    let units = [("Ki", 10), ("Mi", 20), ("Gi", 30)];
    let parsed = units.iter().find_map(|(unit, shift)| {
        let number: u64 = quantity.strip_suffix(unit)?.parse().ok()?;
        Some(number << shift)
    });
    parsed.unwrap_or_else(|| panic!("{quantity} is no memory size that is known here"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::paths;

    /// Without a containerd, so that a mistake in a file shows at once.
    #[test]
    fn all_examples_are_jobs() {
        let folder = paths::workspace().join("deploy/examples");
        let files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(!files.is_empty());
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            assert!(
                text.starts_with("# Run as it is by `make test-kubernetes`"),
                "{}",
                file.display()
            );
            Job::parse(&text);
        }
    }

    #[test]
    #[should_panic(expected = "unknown field `privileged`")]
    fn what_is_not_known_is_refused() {
        let folder = paths::workspace().join("deploy/examples");
        let text = fs::read_to_string(folder.join("dapr-python.yaml")).unwrap();
        Job::parse(&text.replace("stdinOnce: true", "privileged: true"));
    }

    #[test]
    fn memory_sizes() {
        assert_eq!(bytes("1Gi"), 1 << 30);
        assert_eq!(bytes("512Mi"), 512 << 20);
    }
}
