//! Data comes in by volumes and goes out by volumes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use k8s_cri::v1::{KeyValue, Mount, MountPropagation};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use shim_test::guest_image::{GUEST, NATIVE};
use shim_test::{mounts, paths, processes, sandbox};

use crate::harness::Case;

shim_test::tests! {
    any: inputs_and_outputs, config_map, one_file, mounted_later, environment, added_outputs;
    wasm:
}

fn volume(host: &Path, container: &str, readonly: bool) -> Mount {
    Mount {
        container_path: container.into(),
        host_path: host.display().to_string(),
        readonly,
        ..Default::default()
    }
}

fn inputs_and_outputs(case: &Case) {
    let (inputs, outputs) = (case.folder("inputs"), case.folder("outputs"));
    fs::write(inputs.join("a name"), "from outside\n").expect("an input");
    let mounts = || {
        vec![
            volume(&inputs, "/inputs", true),
            volume(&outputs, "/outputs", false),
        ]
    };
    let pod = case.pod("a", |_| {});
    let start = |name, args: &[&str]| pod.start(name, args, |config| config.mounts = mounts());
    let read = start("read", &["read", "/inputs/a name"]);
    read.expect_end(0, "Completed");
    read.log().expect("from outside\n");
    let write = start("write", &["write", "/outputs/result", "text"]);
    write.expect_end(0, "Completed");
    let result = fs::read_to_string(outputs.join("result"));
    assert_eq!(result.expect("a result"), "text");
    let forbidden = start("forbidden", &["write", "/inputs/a name", "text"]);
    forbidden.expect_end(1, "Error");
    let said = forbidden.log().text().to_lowercase();
    assert!(said.contains("read-only file system"), "{said}");
    pod.remove();
}

/// As kubelet lays one out, so that it can be changed in one step: all are
/// links, through a link that leads to the present version.
fn config_map(case: &Case) {
    let folder = case.folder("volume");
    let publish = |version: &str, text: &str| {
        fs::create_dir(folder.join(version)).expect("a version's folder");
        fs::write(folder.join(version).join("job.py"), text).expect("a version's file");
        symlink(version, folder.join("..data_tmp")).expect("a link");
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("rename");
    };
    publish("..2026_01", "first");
    symlink("..data/job.py", folder.join("job.py")).expect("a link");
    let pod = case.pod("a", |_| {});
    let mounts = vec![volume(&folder, "/inputs", true)];
    let container = pod.start("main", &["sleep"], |config| config.mounts = mounts);
    let read = || container.run(&["/guest", "read", "/inputs/job.py"]);
    assert_eq!(read(), "first");
    publish("..2026_02", "second");
    assert_eq!(read(), "second");
    pod.remove();
}

/// `subPath`, and /etc/hosts, which kubelet gives each container.
fn one_file(case: &Case) {
    let folder = case.folder("files");
    for (name, text) in [("hosts", "127.0.0.1 localhost\n"), ("settings", "a = 1\n")] {
        fs::write(folder.join(name), text).expect("a file");
    }
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["sleep"], |config| {
        config.mounts = vec![
            volume(&folder.join("hosts"), "/etc/hosts", false),
            volume(&folder.join("settings"), "/data/nested/settings", true),
        ];
    });
    let read = |path| container.run(&["/guest", "read", path]);
    assert_eq!(read("/etc/hosts"), "127.0.0.1 localhost\n");
    assert_eq!(read("/data/nested/settings"), "a = 1\n");
    assert_eq!(read("/data/greeting"), "hello from the image\n");
    pod.remove();
}

/// What the host mounts in a volume after the container has started comes to it
/// if the pod says so (`mountPropagation: HostToContainer` or `Bidirectional`).
fn mounted_later(case: &Case) {
    let folder = case.folder("later");
    let inner = folder.join("inner");
    fs::create_dir(&inner).expect("a mount point");
    mounts::share(&folder);
    let pod = case.pod("a", |_| {});
    let (one_way, both_ways) = (
        MountPropagation::PropagationHostToContainer,
        MountPropagation::PropagationBidirectional,
    );
    for (name, program, propagation) in [
        ("guest", GUEST, one_way),
        ("guest-both-ways", GUEST, both_ways),
        ("native", NATIVE, one_way),
        ("native-both-ways", NATIVE, both_ways),
    ] {
        let container = pod.start(name, &["sleep"], |config| {
            config.command = vec![program.into()];
            let from_host = Mount {
                propagation: propagation.into(),
                ..volume(&folder, "/from-host", true)
            };
            config.mounts = vec![from_host, volume(&folder, "/private", true)];
        });
        container.log().expect("ready\n");
        mount("tmpfs", &inner, "tmpfs", MountFlags::empty(), None).expect("tmpfs");
        fs::write(inner.join("file"), "mounted later").expect("a file");
        let status = case.server.containerd.ctr.status(&container.id);
        let root = processes::proc(status.expect("a task").0).join("root");
        let read = fs::read_to_string(root.join("from-host/inner/file"));
        assert_eq!(read.expect("the file"), "mounted later", "{name}");
        // libcontainer, which makes native containers, knows no private volumes.
        let is_ours = program == GUEST && sandbox::makes_directly();
        if is_ours || !paths::runs_wasm() {
            assert!(!root.join("private/inner/file").exists(), "{name}");
        }
        unmount(&inner, UnmountFlags::DETACH).expect("what was mounted above");
    }
    pod.remove();
    unmount(&folder, UnmountFlags::DETACH).expect("what was mounted above");
}

fn environment(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["env"], |config| {
        config.envs = vec![KeyValue {
            key: "POD_NAME".into(),
            value: "a b".into(),
        }];
    });
    container.expect_end(0, "Completed");
    let said = container.log().text();
    for line in ["POD_NAME=a b\n", "FROM_IMAGE=as it is\n"] {
        assert!(said.contains(line), "{said}");
    }
    assert!(!said.contains("HOST_SECRET"), "{said}");
    let read = pod.start("read", &["read", "inner"], |config| {
        config.working_dir = "/data/nested".into();
    });
    read.expect_end(0, "Completed");
    read.log().expect("inner\n");
    pod.remove();
}

/// An emptyDir that two containers share, the first of them an initContainer.
fn added_outputs(case: &Case) {
    let shared = case.folder("empty-dir");
    let pod = case.pod("a", |_| {});
    let init = pod.start("init", &["write", "/work/data", "prepared"], |config| {
        config.mounts = vec![volume(&shared, "/work", false)];
    });
    init.expect_end(0, "Completed");
    let main = pod.start("main", &["read", "/inputs/data"], |config| {
        config.mounts = vec![volume(&shared, "/inputs", true)];
    });
    main.expect_end(0, "Completed");
    let line = main.log();
    shim_test::wait::until_clean(std::time::Duration::from_secs(10), || {
        (line.text() != "prepared").then(|| format!("a log that says {:?}", line.text()))
    });
    pod.remove();
}
