//! No more descriptors to be had.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use shim_test::case::Case;
use shim_test::containerd::{Containerd, Options};
use shim_test::guest_image::GUEST;
use shim_test::run::Run;
use shim_test::task::Shim;
use shim_test::{command, leak, paths, processes, wait};

use crate::bundles::{LIMIT, bundle, host, is_usable_again, no_stdio, remove_host};

crate::tests! {
    any: ;
    wasm: shim_without_descriptors, all_of_it_with_64_descriptors, zygote_without_descriptors,
        inherited_descriptors_are_handed_on_to_none
}

fn limit(pid: u32, descriptors: u64) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid"));
    // The hard limit stays: containers may be given more than their launchers.
    let new = Rlimit {
        current: Some(descriptors),
        ..getrlimit(Resource::Nofile)
    };
    prlimit(pid, Resource::Nofile, new).expect("a process of root's");
}

/// A pod's shim with 64: one container more than there is room for is refused
/// with a sentence; those that are there are under control, and when some have
/// gone there is room again.
fn shim_without_descriptors(case: &Case) {
    let shim = host(case);
    let host = case.id("host");
    let pid = shim.connect(&host).shim_pid;
    limit(pid, 64);
    let before = processes::descriptors(pid).len();
    let mut made = Vec::new();
    let sentence = loop {
        assert!(made.len() < 64, "64 descriptors are enough for {made:?}");
        let suffix = format!("c{}", made.len());
        let (id, folder) = bundle(case, &suffix, &[GUEST, "sleep"], |_| {});
        let created = shim.create(&id, &folder, no_stdio());
        match created.and_then(|_| shim.start(&id)) {
            Ok(_) => made.push(id),
            Err((_, sentence)) => {
                // Created, but not started.
                drop(shim.delete(&id));
                break sentence;
            }
        }
    };
    assert!(
        sentence.contains("Too many open files") || sentence.contains("os error 24"),
        "{sentence}"
    );
    assert!(made.len() > 2, "{made:?}");
    // Whoever comes now waits for a descriptor.
    let late = thread::spawn({
        let address = shim.address.clone();
        let id = host.clone();
        move || Shim::at(&address).state(&id).expect("State").pid
    });
    for id in &made {
        shim.kill(id, 9).expect("Kill");
        assert_eq!(shim.wait(id).expect("Wait").exit_status, 137);
        shim.delete(id).expect("Delete");
        leak::assert_no_trace(case.containerd.namespace(), id);
    }
    assert!(late.join().expect("the late one") > 1);
    wait::until_clean(LIMIT, || {
        let now = processes::descriptors(pid);
        (now.len() > before).then(|| format!("more than {before}: {now:?}"))
    });
    let (id, folder) = bundle(case, "again", &[GUEST, "exit", "3"], |_| {});
    shim.create(&id, &folder, no_stdio()).expect("Create");
    shim.start(&id).expect("Start");
    assert_eq!(shim.wait(&id).expect("Wait").exit_status, 3);
    shim.delete(&id).expect("Delete");
    remove_host(case);
    is_usable_again(case, "c0");
}

/// A copy of the installed tree, which has a zygote of its own.
fn own_tree(case: &Case) -> PathBuf {
    let folder = case.folder("tree");
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(paths::shim_tree()).arg(&folder);
    command::output(copy, Duration::from_secs(60)).success();
    folder.join(paths::shim_tree().file_name().expect("a name"))
}

fn containerd_with(case: &Case, shim_bin: PathBuf) -> Containerd {
    let options = Options {
        name: format!("{}-{}", case.containerd.version.name, case.id("own")),
        shim_bin,
        wrapper: Vec::new(),
        cri: None,
    };
    Containerd::start(&case.containerd.version, &options)
}

/// `ulimit -S -n 64` for the shim and all that it starts. (What a container is to
/// have, 1024 for `ctr`, is more: a hard limit would not let it.)
fn all_of_it_with_64_descriptors(case: &Case) {
    let tree = own_tree(case);
    let wrapped = case.folder("wrapped");
    let script = format!(
        "#!/bin/sh\nulimit -S -n 64\nexec '{}' \"$@\"\n",
        tree.join("bin/containerd-shim-wasm-v1").display()
    );
    let wrapper = wrapped.join("containerd-shim-wasm-v1");
    fs::write(&wrapper, script).expect("the wrapper");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("its mode");
    let containerd = containerd_with(case, wrapped);
    let ids: Vec<String> = (0..3).map(|number| format!("c{number}")).collect();
    let mut live: Vec<_> = ids
        .iter()
        .map(|id| Run::new(&containerd, id).guest(["cat"]).start())
        .collect();
    for live in &mut live {
        live.send("echo\n").expect_line("echo");
        let line = ["tasks", "exec", "--exec-id", "x", &live.id, GUEST, "hello"];
        let output = containerd.ctr.call(&line);
        assert_eq!(output.success(), "hello from the guest\n");
        live.close_stdin();
    }
    for live in live {
        live.finish(LIMIT).expect_code(0);
    }
    for id in &ids {
        leak::assert_no_trace(containerd.namespace(), id);
    }
}

/// A zygote that can take no shim more: one waits until there is room again.
/// Meanwhile those that are there go on.
fn zygote_without_descriptors(case: &Case) {
    let tree = own_tree(case);
    let containerd = containerd_with(case, tree.join("bin"));
    let first = Run::new(&containerd, "first").guest(["sleep"]).detach();
    let second = Run::new(&containerd, "second").guest(["sleep"]).detach();
    wait::until_clean(LIMIT, || {
        let name = processes::name(processes::parent(first)?);
        (name.as_deref() != Some("wasm-zygote")).then(|| format!("another parent, {name:?}"))
    });
    let zygote = processes::parent(first).expect("the zygote");
    let open = processes::descriptors(zygote).len() as u64;
    limit(zygote, open + 4);
    let (sender, done) = std::sync::mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| {
            let output = Run::new(&containerd, "third").guest(["hello"]).output();
            let _ = sender.send(());
            assert_eq!(output.success(), "hello from the guest\n");
        });
        let waits = done.recv_timeout(Duration::from_millis(1500)).is_err();
        assert!(waits, "no limit at {open}");
        let line = ["tasks", "exec", "--exec-id", "x", "first", GUEST, "hello"];
        let added = containerd.ctr.call(&line);
        assert_eq!(added.success(), "hello from the guest\n");
        for id in ["first", "second"] {
            containerd.ctr.remove(id);
        }
        limit(zygote, open + 100);
        let done = done.recv_timeout(LIMIT);
        assert!(done.is_ok(), "the third waits for ever");
    });
    assert!(!processes::exists(first) && !processes::exists(second));
    for id in ["first", "second", "third"] {
        leak::assert_no_trace(containerd.namespace(), id);
    }
}

/// What whoever started containerd left open to it is nobody's of ours: its other
/// end would be seen to close when the last container has gone.
fn inherited_descriptors_are_handed_on_to_none(case: &Case) {
    let tree = own_tree(case);
    let script = "exec 8</etc/hostname; exec \"$@\"";
    let options = Options {
        name: format!("{}-{}", case.containerd.version.name, case.id("own")),
        shim_bin: tree.join("bin"),
        wrapper: ["sh", "-c", script, "sh"].map(String::from).to_vec(),
        cri: None,
    };
    let containerd = Containerd::start(&case.containerd.version, &options);
    let pid = Run::new(&containerd, "a").guest(["sleep"]).detach();
    let holders = || {
        let all = processes::all().into_iter().map(|process| process.pid);
        let holds = |pid: &u32| {
            let mut open = processes::descriptors_if_alive(*pid).into_iter();
            open.any(|(_, file)| file == Path::new("/etc/hostname"))
        };
        all.filter(holds).collect::<Vec<u32>>()
    };
    let names: Vec<_> = holders().into_iter().map(processes::name).collect();
    assert_eq!(names, [Some("containerd".into())], "beside the guest {pid}");
    containerd.ctr.remove("a");
}
