use super::*;
use crate::tests::Folder;

const V2_1: Option<Version> = Some(Version::new(2, 1));
const V1_7: Option<Version> = Some(Version::new(1, 7));
const CONTAINERD: &str = "etc/containerd/config.toml";
const RUNC_V2: &str = "[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nSystemdCgroup = true\n";
const RUNC_V3: &str = "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\nSystemdCgroup = true\n";

/// A node with its files, and what its kind is.
struct Node {
    folder: Folder,
    kind: Kind,
}

impl Node {
    fn new(name: &str, kind: Kind, files: &[(&str, &str)]) -> Self {
        let folder = Folder::new(&format!("plan-{name}"));
        for (path, text) in files {
            folder.write(path, text);
        }
        Self { folder, kind }
    }

    fn host(&self) -> Host {
        Host::new(&self.folder.path("")).unwrap()
    }

    fn layout(&self) -> Layout {
        Layout::new(self.kind, None)
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.path(path)).ok()
    }

    /// Installs, checks that a second time nothing changes, and returns the paths
    /// that were changed, in order.
    fn install(&self, containerd: Option<Version>) -> Vec<String> {
        let plan = install(&self.host(), &self.layout(), containerd).unwrap();
        self.apply(&plan);
        let again = install(&self.host(), &self.layout(), containerd).unwrap();
        assert_eq!(again.changes, [], "the second time");
        plan.changes
            .iter()
            .map(|change| change.path.display().to_string())
            .collect()
    }

    fn uninstall(&self, made: &[&str]) {
        let made: Vec<_> = made.iter().map(PathBuf::from).collect();
        self.apply(&uninstall(&self.host(), &self.layout(), &made).unwrap());
    }

    fn apply(&self, plan: &Plan) {
        for change in &plan.changes {
            let path = change.path.to_str().unwrap().trim_start_matches('/');
            assert_eq!(self.read(path), change.before);
            match &change.after {
                Some(text) => self.folder.write(path, text),
                None => std::fs::remove_file(self.folder.path(path)).unwrap(),
            }
        }
    }

    fn refusal(&self) -> String {
        install(&self.host(), &self.layout(), V1_7)
            .unwrap_err()
            .to_string()
    }
}

#[test]
fn format_2_gets_lines_at_its_end() {
    let text = format!("# mine\nversion = 2 # two\n{RUNC_V2}  # the end, no newline");
    let node = Node::new("v2", Kind::Containerd, &[(CONTAINERD, &text)]);
    assert_eq!(node.install(V1_7), ["/etc/containerd/config.toml"]);
    let changed = node.read(CONTAINERD).unwrap();
    assert!(changed.starts_with(&text));
    assert!(changed.contains("SystemdCgroup = true\n# END"), "{changed}");
    assert!(
        !changed.contains("use_local_image_pull"),
        "1.7 does not know it"
    );
    assert!(
        !changed.contains("io.containerd.runc.v2"),
        "the file has runc"
    );
    node.uninstall(&[]);
    assert_eq!(node.read(CONTAINERD).unwrap(), text);
}

#[test]
fn format_2_without_runtimes_gets_runc_too() {
    let node = Node::new(
        "v2-runc",
        Kind::Containerd,
        &[(CONTAINERD, "version = 2\n")],
    );
    node.install(V2_1);
    let changed = node.read(CONTAINERD).unwrap();
    assert!(
        changed.contains("runtimes.runc]\n  runtime_type = \"io.containerd.runc.v2\""),
        "{changed}"
    );
    assert!(changed.contains("use_local_image_pull = true"), "{changed}");
}

#[test]
fn with_format_2_the_import_that_counts_is_changed() {
    let main = format!("version = 2\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n{RUNC_V2}");
    let nvidia = format!("version = 2\n{}", RUNC_V2.replace("true", "false"));
    let import = "etc/containerd/conf.d/99-nvidia.toml";
    let node = Node::new(
        "v2-import",
        Kind::Containerd,
        &[(CONTAINERD, &main), (import, &nvidia)],
    );
    assert_eq!(
        node.install(V1_7),
        ["/etc/containerd/conf.d/99-nvidia.toml"]
    );
    assert!(
        node.read(import)
            .unwrap()
            .contains("SystemdCgroup = false\n# END")
    );
    node.uninstall(&[]);
    assert_eq!(node.read(import).unwrap(), nvidia);
}

#[test]
fn formats_3_and_4_get_a_drop_in() {
    for version in [3, 4] {
        let text = format!("version = {version}\nimports = []\n{RUNC_V3}");
        let node = Node::new(
            &format!("v{version}"),
            Kind::Containerd,
            &[(CONTAINERD, &text)],
        );
        let file = "/etc/containerd/conf.d/containerd-shim-wasm.toml";
        // containerd never meets an import that is not there.
        assert_eq!(node.install(V2_1), [file, "/etc/containerd/config.toml"]);
        let drop_in = node.read(&file[1..]).unwrap();
        for part in [
            format!("version = {version}\n"),
            "SystemdCgroup = true".into(),
            "use_local_image_pull = true".into(),
            "\"io.containerd.wasm.*\", \"module.wasm.image/variant\", \"run.oci.handler\"".into(),
        ] {
            assert!(drop_in.contains(&part), "{drop_in}");
        }
        node.uninstall(&[]);
        assert_eq!(node.read(CONTAINERD).unwrap(), text);
        assert_eq!(node.read(&file[1..]), None);
    }
}

#[test]
fn a_folder_that_is_imported_already_is_used() {
    let text = "version = 3\nimports = ['conf.d/*.toml']\n";
    let node = Node::new("v3-import", Kind::Containerd, &[(CONTAINERD, text)]);
    assert_eq!(
        node.install(V2_1),
        ["/etc/containerd/conf.d/containerd-shim-wasm.toml"]
    );
    assert_eq!(node.read(CONTAINERD).unwrap(), text);
}

#[test]
fn containerd_without_a_file_gets_one() {
    for (containerd, version) in [(V1_7, "version = 2"), (V2_1, "version = 3")] {
        let node = Node::new(
            &format!("none-{}", containerd.unwrap()),
            Kind::Containerd,
            &[],
        );
        node.install(containerd);
        assert!(node.read(CONTAINERD).unwrap().starts_with(version));
        node.uninstall(&["/etc/containerd/config.toml"]);
        assert_eq!(node.read(CONTAINERD), None);
    }
    let node = Node::new("none", Kind::Containerd, &[]);
    let error = install(&node.host(), &node.layout(), None).unwrap_err();
    assert!(
        error.to_string().contains("containerd config default"),
        "{error}"
    );
}

#[test]
fn k3s_and_rke2_get_a_template_of_their_format() {
    for (kind, home) in [(Kind::K3s, "k3s"), (Kind::Rke2, "rke2")] {
        for (version, template) in [(2, "config.toml.tmpl"), (3, "config-v3.toml.tmpl")] {
            let folder = format!("var/lib/rancher/{home}/agent/etc/containerd");
            let rendered = (
                format!("{folder}/config.toml"),
                format!("version = {version}\n"),
            );
            let node = Node::new(
                &format!("{home}-{version}"),
                kind,
                &[(&rendered.0, &rendered.1)],
            );
            let file = format!("{folder}/{template}");
            assert_eq!(node.install(None), [format!("/{file}")]);
            let text = node.read(&file).unwrap();
            assert!(
                text.starts_with("{{ template \"base\" . }}\n\n# BEGIN"),
                "{text}"
            );
            assert!(
                text.contains("SystemdCgroup = {{ .SystemdCgroup }}"),
                "{text}"
            );
            node.uninstall(&[&format!("/{file}")]);
            assert_eq!(node.read(&file), None);
        }
    }
}

#[test]
fn a_template_of_the_operator_is_kept() {
    let folder = "var/lib/rancher/k3s/agent/etc/containerd";
    let (config, template) = (
        format!("{folder}/config.toml"),
        format!("{folder}/config.toml.tmpl"),
    );
    let own = "{{ template \"base\" . }}\n# mine\n[debug]\n  level = \"{{ .Level }}\"\n";
    let node = Node::new(
        "k3s-own",
        Kind::K3s,
        &[(&config, "version = 2\n"), (&template, own)],
    );
    node.install(None);
    assert!(node.read(&template).unwrap().starts_with(own));
    // What k3s makes of it has our lines too, and they are not somebody else's.
    node.folder.write(
        &config,
        &format!(
            "version = 2\n{}",
            &node.read(&template).unwrap()[own.len()..]
        )
        .replace("{{ .SystemdCgroup }}", "true"),
    );
    assert_eq!(
        install(&node.host(), &node.layout(), None).unwrap().changes,
        []
    );
    node.uninstall(&[]);
    assert_eq!(node.read(&template).unwrap(), own);
}

#[test]
fn newer_k3s_gets_a_drop_in() {
    let folder = "var/lib/rancher/k3s/agent/etc/containerd";
    let config = format!("{folder}/config.toml");
    let text = format!("version = 3\nimports = [\"/{folder}/config-v3.toml.d/*.toml\"]\n{RUNC_V3}");
    let node = Node::new("k3s-drop-in", Kind::K3s, &[(&config, &text)]);
    let file = format!("{folder}/config-v3.toml.d/containerd-shim-wasm.toml");
    assert_eq!(node.install(None), [format!("/{file}")]);
    assert!(node.read(&file).unwrap().contains("SystemdCgroup = true"));
}

#[test]
fn microk8s_has_a_template_with_variables() {
    let (args, config) = (
        "var/snap/microk8s/current/args",
        "var/snap/microk8s/current/args/containerd.toml",
    );
    let template = format!("{args}/containerd-template.toml");
    let text = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n  snapshotter = \"${SNAPSHOTTER}\"\n  \
                default_runtime_name = \"${RUNTIME}\"\n  [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n    \
                runtime_type = \"io.containerd.runc.v1\"\n";
    let node = Node::new(
        "microk8s",
        Kind::Microk8s,
        &[(config, text), (&template, text)],
    );
    assert_eq!(node.install(None), [format!("/{template}")]);
    assert_eq!(
        node.read(config).unwrap(),
        text,
        "microk8s makes it when it starts"
    );
    node.uninstall(&[]);
    assert_eq!(node.read(&template).unwrap(), text);
}

#[test]
fn k0s_has_a_folder_unless_the_file_is_the_operators() {
    let config = "etc/k0s/containerd.toml";
    let managed = format!("# k0s_managed=true\nversion = 3\n{RUNC_V3}");
    let node = Node::new("k0s", Kind::K0s, &[(config, &managed)]);
    assert_eq!(
        node.install(None),
        ["/etc/k0s/containerd.d/containerd-shim-wasm.toml"]
    );
    let own = Node::new(
        "k0s-own",
        Kind::K0s,
        &[(config, &format!("version = 2\n{RUNC_V2}"))],
    );
    assert_eq!(own.install(None), ["/etc/k0s/containerd.toml"]);
}

#[test]
fn an_entry_made_by_hand_is_the_operators() {
    let entry = |kind: &str| {
        format!(
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.wasm]\nruntime_type = \"{kind}\"\n"
        )
    };
    for kind in ["io.containerd.wasm.v1", "/opt/x/containerd-shim-wasm-v1"] {
        let node = Node::new("hand", Kind::Containerd, &[(CONTAINERD, &entry(kind))]);
        let plan = install(&node.host(), &node.layout(), V1_7).unwrap();
        assert!(
            plan.changes.is_empty() && plan.notes[0].contains("left as it is"),
            "{plan:?}"
        );
        node.uninstall(&[]);
        assert_eq!(node.read(CONTAINERD).unwrap(), entry(kind));
    }
    let node = Node::new(
        "taken",
        Kind::Containerd,
        &[(CONTAINERD, &entry("io.containerd.wasmtime.v1"))],
    );
    assert!(
        node.refusal()
            .contains("\"io.containerd.wasmtime.v1\"; rename or remove it")
    );
}

#[test]
fn what_can_not_be_changed_is_told_before_anything_is() {
    for (name, text, says) in [
        ("toml", "version = ", "can't be read as TOML"),
        ("one", "", "configuration format 1"),
        ("five", "version = 5", "newer than this installer"),
        (
            "off",
            "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]",
            "switches pods off",
        ),
        (
            "inline",
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\ncontainerd = { snapshotter = \"native\", runtimes = {} }\n",
            "write its runtimes as tables",
        ),
    ] {
        let node = Node::new(name, Kind::Containerd, &[(CONTAINERD, text)]);
        assert!(node.refusal().contains(says), "{name}: {}", node.refusal());
    }
}
