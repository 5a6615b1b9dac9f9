use super::*;
use crate::layout::Kind;
use crate::tests::Folder;

/// Not that of a containerd that may run where the tests do.
const CONFIG: &str = "/etc/containerd/doctor.toml";

/// A node where all is well, but for what a test changes; there is no shim, which
/// the tests with a real containerd look after.
fn node(name: &str) -> Folder {
    let folder = Folder::new(&format!("doctor-{name}"));
    folder.write(
        "sys/fs/cgroup/cgroup.controllers",
        "cpuset cpu io memory pids\n",
    );
    folder.write(
        "etc/containerd/doctor.toml",
        &config("false", "io.containerd.wasm.v1"),
    );
    folder
}

fn config(systemd: &str, kind: &str) -> String {
    let plugin = "plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes";
    format!(
        "version = 3\n[{plugin}.runc.options]\nSystemdCgroup = {systemd}\n[{plugin}.wasm]\nruntime_type = '{kind}'\n\
         pod_annotations = ['io.containerd.wasm.*', 'module.wasm.image/variant', 'run.oci.handler']\n\
         container_annotations = ['io.containerd.wasm.*', 'module.wasm.image/variant', 'run.oci.handler']\n\
         [{plugin}.wasm.options]\nSystemdCgroup = false\n"
    )
}

fn report(folder: &Folder, look: impl Fn(&mut Report, &Host)) -> Vec<Finding> {
    let mut report = Report::default();
    look(&mut report, &Host::new(&folder.path("")).unwrap());
    report.0
}

fn configuration(folder: &Folder) -> Vec<Finding> {
    let layout = Layout::new(Kind::Containerd, Some(CONFIG.into()));
    report(folder, |report, host| {
        containerd::examine(report, host, &layout);
    })
}

/// One finding of this level has these words, and says what to do.
fn expect(findings: &[Finding], level: Level, words: &str) {
    let found = findings.iter().find(|finding| finding.what.contains(words));
    let found = found.unwrap_or_else(|| panic!("{words:?} is not in {findings:#?}"));
    assert_eq!(found.level, level, "{found:?}");
    assert_eq!(found.mend.is_empty(), level == Level::Good, "{found:?}");
}

fn no_problem(findings: &[Finding]) {
    let problem = findings
        .iter()
        .find(|finding| finding.level == Level::Problem);
    assert_eq!(problem, None);
}

#[test]
fn a_good_configuration_has_no_problem() {
    let findings = configuration(&node("good"));
    no_problem(&findings);
    expect(&findings, Level::Good, "has the runtime \"wasm\"");
    expect(&findings, Level::Good, "the cgroup driver is cgroupfs");
}

#[test]
fn each_mistake_in_the_configuration_is_told() {
    for (name, text, words) in [
        (
            "none",
            "version = 3\n".to_owned(),
            "has no runtime \"wasm\"",
        ),
        ("toml", "version = \n".to_owned(), "can't be read as TOML"),
        (
            "one",
            "[plugins.cri]\n".to_owned(),
            "configuration format 1",
        ),
        (
            "other",
            config("false", "io.containerd.runc.v2"),
            "not this shim",
        ),
        (
            "driver",
            config("true", "io.containerd.wasm.v1"),
            "SystemdCgroup is false for \"wasm\", and true",
        ),
        (
            "off",
            format!(
                "disabled_plugins = ['cri']\n{}",
                config("false", "io.containerd.wasm.v1")
            ),
            "switches pods off",
        ),
    ] {
        let folder = node(name);
        folder.write("etc/containerd/doctor.toml", &text);
        expect(&configuration(&folder), Level::Problem, words);
    }
    let folder = node("missing");
    std::fs::remove_file(folder.path("etc/containerd/doctor.toml")).unwrap();
    expect(
        &configuration(&folder),
        Level::Problem,
        "there is no /etc/containerd/doctor.toml",
    );
}

#[test]
fn annotations_that_are_not_handed_on_are_told() {
    let folder = node("annotations");
    let text = config("false", "io.containerd.wasm.v1").replace("'run.oci.handler'", "");
    folder.write("etc/containerd/doctor.toml", &text);
    expect(&configuration(&folder), Level::Warning, "pod_annotations");
}

#[test]
fn kubelet_has_to_have_the_same_driver() {
    let folder = node("kubelet");
    folder.write(
        "var/lib/kubelet/config.yaml",
        "kind: KubeletConfiguration\ncgroupDriver: systemd\n",
    );
    expect(
        &configuration(&folder),
        Level::Problem,
        "kubelet's cgroupDriver is systemd",
    );
    folder.write(
        "var/lib/kubelet/config.yaml",
        "cgroupDriver: \"cgroupfs\"\n",
    );
    no_problem(&configuration(&folder));
}

#[test]
fn the_systemd_driver_needs_systemd() {
    let folder = node("systemd");
    let text = config("true", "io.containerd.wasm.v1")
        .replace("SystemdCgroup = false", "SystemdCgroup = true");
    folder.write("etc/containerd/doctor.toml", &text);
    expect(
        &configuration(&folder),
        Level::Problem,
        "systemd does not run here",
    );
    std::fs::create_dir_all(folder.path("run/systemd/system")).unwrap();
    no_problem(&configuration(&folder));
}

#[test]
fn a_containerd_that_does_not_run_is_told() {
    expect(
        &configuration(&node("stopped")),
        Level::Warning,
        "no containerd that reads",
    );
}

#[test]
fn k0s_merges_its_drop_ins() {
    let folder = node("k0s");
    folder.write(
        "etc/k0s/containerd.toml",
        "# k0s_managed=true\nversion = 3\n",
    );
    let look = || {
        report(&folder, |report, host| {
            containerd::examine(report, host, &Layout::new(Kind::K0s, None));
        })
    };
    expect(
        &look(),
        Level::Problem,
        "/run/k0s/containerd-cri.toml has no runtime",
    );
    folder.write(
        "run/k0s/containerd-cri.toml",
        &config("false", "io.containerd.wasm.v1"),
    );
    expect(
        &look(),
        Level::Good,
        "/run/k0s/containerd-cri.toml has the runtime",
    );
}

#[test]
fn cgroups_of_both_versions_are_known() {
    let folder = node("cgroups");
    let look = || report(&folder, machine::examine);
    expect(&look(), Level::Good, "cgroup v2 with");
    folder.write("sys/fs/cgroup/cgroup.controllers", "cpu pids\n");
    expect(
        &look(),
        Level::Problem,
        "cgroup v2 has no controller memory",
    );
    std::fs::remove_file(folder.path("sys/fs/cgroup/cgroup.controllers")).unwrap();
    expect(
        &look(),
        Level::Problem,
        "cgroup v1 has no controller cpu, memory, pids",
    );
    for name in ["cpu", "memory", "pids"] {
        folder.write(&format!("sys/fs/cgroup/{name}/tasks"), "");
    }
    expect(&look(), Level::Good, "cgroup v1 with");
}

#[test]
fn machines_that_can_not_run_it_are_told() {
    let folder = node("machine");
    expect(
        &report(&folder, |report, _| machine::processor(report, "aarch64")),
        Level::Problem,
        "aarch64",
    );
    expect(
        &report(&folder, |report, _| machine::processor(report, "x86_64")),
        Level::Good,
        "x86-64",
    );
    expect(
        &report(&folder, |report, _| {
            machine::kernel(report, "5.10.0-28-amd64");
        }),
        Level::Problem,
        "too old",
    );
    expect(
        &report(&folder, |report, _| machine::kernel(report, "6.18.5")),
        Level::Good,
        "6.18.5",
    );
}

#[test]
fn a_shim_that_is_not_there_or_not_whole_is_told() {
    let folder = node("shim");
    let look = || report(&folder, shim::examine);
    expect(&look(), Level::Problem, "no shim is installed");
    expect(
        &look(),
        Level::Warning,
        "there is no /usr/local/bin/containerd-shim-wasm-v1",
    );
    folder.write(
        "opt/containerd-shim-wasm/current/bin/containerd-shim-wasm-v1",
        "#!/bin/no-such\n",
    );
    let findings = look();
    expect(&findings, Level::Problem, "are missing or were changed");
    expect(&findings, Level::Problem, "containerd-shim-wasm-v1` failed");
    expect(&findings, Level::Problem, "wasm-zygote` failed");
}

#[test]
fn links_of_others_are_told() {
    let folder = node("link");
    folder.write("usr/local/bin/containerd-shim-wasm-v1", "a shim");
    let look = || report(&folder, shim::examine);
    expect(
        &look(),
        Level::Warning,
        "is a file, perhaps of `make install`",
    );
    let link = folder.path("usr/local/bin/containerd-shim-wasm-v1");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/elsewhere", &link).unwrap();
    expect(&look(), Level::Warning, "leads to /elsewhere");
}

#[test]
fn mistakes_in_the_settings_are_told() {
    let folder = node("settings");
    let look = || report(&folder, shim::examine);
    expect(&look(), Level::Good, "all settings are the defaults");
    for (text, level, words) in [
        ("aot = \"off\"\n", Level::Good, "config.toml can be read"),
        (
            "aott = \"off\"\n",
            Level::Problem,
            "does not know, so no container starts: aott",
        ),
        ("aot\n", Level::Problem, "is not TOML"),
    ] {
        folder.write("etc/containerd-shim-wasm/config.toml", text);
        expect(&look(), level, words);
    }
}

#[test]
fn the_report_counts_and_says_what_to_do() {
    let mut report = Report::default();
    report.good("a");
    report.warn("b", "mend b");
    assert!(!report.has_problems());
    report.problem("c", "mend c");
    assert!(report.has_problems());
    let text = report.to_string();
    assert!(text.contains("PROBLEM  c\n         -> mend c\n"), "{text}");
    assert!(text.ends_with("problems: 1, warnings: 1\n"), "{text}");
}
