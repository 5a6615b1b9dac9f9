//! The cgroups of what is no container's: zygote and compiler.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use shim_test::case::Case;
use shim_test::containerd::{Containerd, Options};
use shim_test::run::Run;
use shim_test::{cgroup, command, packer, paths, processes, wait};

use crate::aot::{self, guest_with};
use crate::suite::kill;

crate::tests! {
    any: ;
    wasm: end_of_a_pod_spares_the_zygote, compiler_is_limited
}

/// A zygote without shims goes after ten seconds.
const IDLE: Duration = Duration::from_secs(40);

/// The shim in a cgroup of its own, as containerd has it with `ShimCgroup`, or
/// systemd with a service. All that is in there is killed.
fn end_of_a_pod_spares_the_zygote(case: &Case) {
    let group = format!("{}/shims", case.containerd.group());
    let hierarchies = cgroup::hierarchies();
    let folders: Vec<_> = hierarchies
        .iter()
        .map(|root| root.join(&group))
        // A cpuset would have to be filled first.
        .filter(|folder| !folder.starts_with("/sys/fs/cgroup/cpuset"))
        .collect();
    for folder in &folders {
        fs::create_dir_all(folder).expect("a cgroup");
    }
    let containerd = containerd_in(case, &folders);
    // `ctr` leaves them there when it fails.
    let fifos = case.folder("fifos").to_string_lossy().into_owned();
    let run = Run::new(&containerd, "a").flags(["--fifo-dir", &fifos]);
    let mut live = run.guest(["sleep"]).start();
    live.expect_line("ready");
    let (guest, _) = containerd.ctr.status("a").expect("the task");
    let parent = || processes::parent(guest).expect("a parent");
    // Its launcher goes about now.
    wait::until_clean(Duration::from_secs(10), || {
        let name = processes::name(parent());
        (name.as_deref() != Some("wasm-zygote")).then(|| format!("{name:?}"))
    });
    let zygote = parent();
    let own = wait_for_cgroup(zygote, "wasm-zygote-");
    let shims: BTreeSet<_> = folders.iter().flat_map(|folder| members(folder)).collect();
    assert!(!shims.is_empty(), "no shim in its cgroup");
    assert!(!shims.contains(&zygote) && !shims.contains(&guest));
    shims.into_iter().for_each(kill);
    assert_ne!(live.finish(shim_test::ctr::LIMIT).code, 0);
    assert!(processes::exists(zygote), "the zygote went with the pod");
    containerd.ctr.remove("a");
    let again = Run::new(&containerd, "b").guest(["hello"]).output();
    assert_eq!(again.success(), "hello from the guest\n");
    assert!(processes::exists(zygote), "it was not used");
    assert!(wait::process_ends(zygote, IDLE), "an idle zygote");
    let left = cgroup::folders(&own);
    assert!(left.is_empty(), "{left:?}");
    drop(containerd);
    for folder in folders {
        wait::until_clean(IDLE, || {
            fs::remove_dir(&folder).err().map(|error| error.to_string())
        });
    }
}

/// A containerd whose shims begin in these cgroups, with a zygote of their own.
fn containerd_in(case: &Case, folders: &[PathBuf]) -> Containerd {
    let copied = case.folder("tree");
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(paths::shim_tree()).arg(&copied);
    command::output(copy, Duration::from_secs(60)).success();
    let tree = copied.join(paths::shim_tree().file_name().expect("a name"));
    let wrapped = case.folder("wrapped");
    let joins: String = folders
        .iter()
        .map(|folder| format!("echo $$ >{}/cgroup.procs\n", folder.display()))
        .collect();
    let script = format!(
        "#!/bin/sh\n{joins}exec '{}' \"$@\"\n",
        tree.join("bin/containerd-shim-wasm-v1").display()
    );
    let wrapper = wrapped.join("containerd-shim-wasm-v1");
    fs::write(&wrapper, script).expect("the wrapper");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("its mode");
    let options = Options {
        name: format!("{}-{}", case.containerd.version.name, case.id("own")),
        shim_bin: wrapped,
        wrapper: Vec::new(),
        cri: None,
    };
    Containerd::start(&case.containerd.version, &options)
}

fn members(folder: &std::path::Path) -> Vec<u32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).expect("a cgroup");
    // 0 is a process of another pid namespace.
    let pids = text.lines().filter_map(|line| line.parse().ok());
    pids.filter(|pid| *pid > 1).collect()
}

/// The cgroup of this kind that a process is in; the same in each hierarchy.
fn wait_for_cgroup(pid: u32, kind: &str) -> String {
    let groups = || -> BTreeSet<String> {
        let text = fs::read_to_string(processes::proc(pid).join("cgroup")).expect("a process");
        let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        paths.map(str::to_owned).collect()
    };
    // It joins when it has nothing else to do.
    wait::until_clean(Duration::from_secs(10), || {
        let groups = groups();
        let is_alone = groups.len() == 1
            && groups
                .iter()
                .all(|path| path.starts_with(&format!("/{kind}")));
        (!is_alone).then(|| format!("{groups:?}"))
    });
    groups().pop_first().expect("one")
}

fn compiler_is_limited(case: &Case) {
    let file = case.folder("modules").join("limited.wasm");
    fs::write(&file, guest_with(case, "limited", 1 << 20)).expect("the module");
    let mut precompile = packer::command();
    precompile
        .arg("precompile")
        .arg(&file)
        .stdout(Stdio::piped());
    let mut precompile = precompile.spawn().expect("wasm-oci");
    let compiler = || {
        let mut all = processes::all().into_iter();
        let found = all.find(|process| {
            process.command_line.contains("compile --wait-best")
                && processes::parent(process.pid) == Some(precompile.id())
        });
        found.map(|process| process.pid)
    };
    wait::until_clean(aot::LIMIT, || {
        compiler().is_none().then(|| "no compiler".into())
    });
    let group = wait_for_cgroup(compiler().expect("a compiler"), "wasm-compiler-");
    let files = ["memory.limit_in_bytes", "memory.max"];
    assert_eq!(cgroup::value(&group, &files).as_deref(), Some("3221225472"));
    let (status, _) = command::finish(&mut precompile, aot::LIMIT);
    assert!(status.success(), "{status}");
    let left = cgroup::folders(&group);
    assert!(left.is_empty(), "{left:?}");
}
