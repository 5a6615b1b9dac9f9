//! A pod's security context.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use k8s_cri::v1::security_profile::ProfileType;
use k8s_cri::v1::{
    Capability, ContainerConfig, Int64Value, LinuxContainerSecurityContext, Mount, NamespaceMode,
    SecurityProfile,
};
use shim_test::guest_image::{GUEST, NATIVE};
use shim_test::{cgroup, processes, wait};

use crate::harness::{Case, Container, V4};

shim_test::tests! {
    any: restricted, unconfined, run_as_user, read_only_root, shared_processes, host_network;
    wasm:
}

/// How long helpers may take to end.
const GONE_WITHIN: Duration = Duration::from_secs(10);

fn context(config: &mut ContainerConfig) -> &mut LinuxContainerSecurityContext {
    let linux = config.linux.as_mut().expect("set by the harness");
    linux.security_context.as_mut().expect("set by the harness")
}

fn profile(kind: ProfileType) -> Option<SecurityProfile> {
    Some(SecurityProfile {
        profile_type: kind.into(),
        ..Default::default()
    })
}

fn number(value: i64) -> Option<Int64Value> {
    Some(Int64Value { value })
}

/// What Kubernetes' standard "restricted" asks for.
fn restrict(config: &mut ContainerConfig) {
    let context = context(config);
    context.capabilities = Some(Capability {
        drop_capabilities: vec!["ALL".into()],
        ..Default::default()
    });
    context.no_new_privs = true;
    context.readonly_rootfs = true;
    context.seccomp = profile(ProfileType::RuntimeDefault);
    (context.run_as_user, context.run_as_group) = (number(1234), number(5678));
    context.supplemental_groups = vec![90, 91];
}

fn pid(case: &Case, container: &Container<'_>) -> u32 {
    let status = case.server.containerd.ctr.status(&container.id);
    status.expect("a task").0
}

/// The fields of /proc/PID/status, blanks made one.
fn status(pid: u32, field: &str) -> String {
    let text = processes::status(pid, field).expect("a field of /proc/PID/status");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn expect_restricted(pid: u32) {
    let line = processes::command_line(pid);
    for field in ["CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"] {
        assert_eq!(status(pid, field), "0000000000000000", "{line:?}: {field}");
    }
    assert_eq!(status(pid, "NoNewPrivs"), "1", "{line:?}");
    assert_eq!(status(pid, "Seccomp"), "2", "{line:?}");
    assert_eq!(status(pid, "Uid"), "1234 1234 1234 1234", "{line:?}");
    assert_eq!(status(pid, "Gid"), "5678 5678 5678 5678", "{line:?}");
    let groups = status(pid, "Groups");
    assert!(groups.contains("90 91"), "{line:?}: {groups}");
}

fn restricted(case: &Case) {
    let pod = case.pod("a", |_| {});
    for (name, program) in [("guest", GUEST), ("native", NATIVE)] {
        let container = pod.start(name, &["sleep"], |config| {
            config.command = vec![program.into()];
            restrict(config);
        });
        container.log().expect("ready\n");
        expect_restricted(pid(case, &container));
        // Added processes are held back in the same way.
        container
            .exec(&[program, "sleep"], false, V4)
            .expect("ready\n");
        let mut members = Vec::new();
        // What has made the added process goes by itself.
        wait::until_clean(GONE_WITHIN, || {
            let listed = cgroup::value(&container.cgroup(), &["cgroup.procs"]).expect("members");
            members = listed
                .lines()
                .map(|pid| pid.parse().expect("a pid"))
                .collect();
            (members.len() != 2).then(|| format!("other processes than two: {members:?}"))
        });
        members.into_iter().for_each(expect_restricted);
    }
    pod.remove();
}

fn unconfined(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |config| {
        context(config).seccomp = profile(ProfileType::Unconfined);
    });
    container.log().expect("ready\n");
    assert_eq!(status(pid(case, &container), "Seccomp"), "0");
    pod.remove();
}

/// What a guest writes is its user's.
fn run_as_user(case: &Case) {
    let folder = case.folder("outputs");
    std::os::unix::fs::chown(&folder, Some(1234), None).expect("chown");
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["write", "/outputs/file", "text"], |config| {
        context(config).run_as_user = number(1234);
        config.mounts = vec![Mount {
            container_path: "/outputs".into(),
            host_path: folder.display().to_string(),
            ..Default::default()
        }];
    });
    container.expect_end(0, "Completed");
    let metadata = folder.join("file").metadata().expect("the guest's file");
    assert_eq!(metadata.uid(), 1234);
    pod.remove();
}

fn read_only_root(case: &Case) {
    let pod = case.pod("a", |_| {});
    for (name, path, code) in [("root", "/file", 1), ("data", "/data/file", 1)] {
        let container = pod.start(name, &["write", path, "text"], |config| {
            context(config).readonly_rootfs = true;
        });
        container.expect_end(code, "Error");
        let said = container.log().text().to_lowercase();
        assert!(said.contains("read-only file system"), "{said}");
    }
    pod.remove();
}

/// `shareProcessNamespace`: what a container leaves ends with it all the same.
fn shared_processes(case: &Case) {
    let pod = case.pod("a", |pod| {
        let linux = pod.linux.as_mut().expect("set by the harness");
        let context = linux.security_context.as_mut().expect("set by the harness");
        let namespaces = context
            .namespace_options
            .as_mut()
            .expect("set by the harness");
        namespaces.set_pid(NamespaceMode::Pod);
    });
    let start = |name, program: &str| {
        let container = pod.start(name, &["sleep"], |config| {
            config.command = vec![program.into()];
            let namespaces = context(config).namespace_options.as_mut();
            namespaces
                .expect("set by the harness")
                .set_pid(NamespaceMode::Pod);
        });
        container.log().expect("ready\n");
        container
    };
    let (guest, native) = (start("guest", GUEST), start("native", NATIVE));
    let namespace = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).expect("ns/pid");
    let sandbox = case
        .server
        .containerd
        .ctr
        .status(&pod.id)
        .expect("the sandbox")
        .0;
    for container in [&guest, &native] {
        assert_eq!(namespace(pid(case, container)), namespace(sandbox));
    }
    // On cgroup v1 a native program sees its own cgroup of each hierarchy.
    if cgroup::hierarchies().contains(&"/sys/fs/cgroup/pids".into()) {
        let pid = pid(case, &native);
        let file = format!("/proc/{pid}/root/sys/fs/cgroup/pids/pids.current");
        assert_eq!(std::fs::read_to_string(file).expect("its cgroup"), "1\n");
    }
    // Neither is pid 1: the kernel's own actions hold.
    guest.stop(10);
    guest.expect_end(143, "Error");
    native.stop(10);
    native.expect_end(143, "Error");
    pod.remove();
}

fn host_network(case: &Case) {
    let pod = case.pod("a", |pod| {
        pod.hostname.clear();
        let linux = pod.linux.as_mut().expect("set by the harness");
        let context = linux.security_context.as_mut().expect("set by the harness");
        let namespaces = context
            .namespace_options
            .as_mut()
            .expect("set by the harness");
        namespaces.set_network(NamespaceMode::Node);
    });
    let container = pod.start("main", &["sleep"], |config| {
        let namespaces = context(config).namespace_options.as_mut();
        namespaces
            .expect("set by the harness")
            .set_network(NamespaceMode::Node);
    });
    container.log().expect("ready\n");
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).expect("ns/net");
    assert_eq!(
        namespace(&pid(case, &container).to_string()),
        namespace("self")
    );
    pod.remove();
}
