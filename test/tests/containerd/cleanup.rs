//! What a violent end leaves.

use std::time::Duration;

use serde_json::json;
use shim_test::bundle;
use shim_test::case::Case;
use shim_test::guest_image::{GUEST, NATIVE};
use shim_test::task::Shim;
use shim_test::{leak, processes, wait};

crate::tests! {
    any: killed_shim, killed_shim_of_a_pod, killed_client, children_in_the_hosts_pids;
    wasm: killed_zygote, killed_shim_while_creating
}

const LIMIT: Duration = Duration::from_secs(20);

/// `kill -9` of the shim: containerd has `delete` of the shim's binary clear
/// up, says the task ended, and the id is free.
fn killed_shim(case: &Case) {
    let id = case.id("a");
    let init = case.run("a").guest(["sleep"]).detach();
    let shim = Shim::of(&case.containerd, &id).connect(&id).shim_pid;
    crate::suite::kill(shim);
    assert!(
        wait::process_ends(init, LIMIT),
        "the guest outlives its shim"
    );
    case.containerd.events().wait(&id, "/tasks/exit");
    case.containerd.events().wait(&id, "/tasks/delete");
    leak::assert_no_trace(case.containerd.namespace(), &id);
    case.containerd.ctr.delete_container(&id).expect_code(0);
    assert_eq!(
        case.run("a").guest(["hello"]).output().success(),
        "hello from the guest\n"
    );
}

fn killed_shim_of_a_pod(case: &Case) {
    let (pod, app) = (case.id("pod"), case.id("app"));
    let inits = [
        case.run("pod")
            .in_pod(&pod, "sandbox")
            .program(NATIVE, ["pause"])
            .detach(),
        case.run("app")
            .in_pod(&pod, "container")
            .guest(["sleep"])
            .detach(),
    ];
    crate::suite::kill(Shim::of(&case.containerd, &pod).connect(&pod).shim_pid);
    for (id, init) in [&pod, &app].into_iter().zip(inits) {
        assert!(wait::process_ends(init, LIMIT), "{id} outlives its shim");
        case.containerd.events().wait(id, "/tasks/exit");
        case.containerd.events().wait(id, "/tasks/delete");
        leak::assert_no_trace(case.containerd.namespace(), id);
        case.containerd.ctr.delete_container(id).expect_code(0);
    }
}

/// Nobody reads the output any more: the guest can still be ended.
fn killed_client(case: &Case) {
    let mut live = case.run("a").guest(["sleep"]).start();
    live.expect_line("ready");
    let id = live.id.clone();
    // Dropping it kills `ctr`, which has no chance to say goodbye.
    drop(live);
    let ctr = &case.containerd.ctr;
    assert_eq!(ctr.status(&id).expect("the task").1, "RUNNING");
    ctr.kill(&id, "SIGKILL").expect_code(0);
    assert_eq!(
        case.containerd
            .events()
            .wait(&id, "/tasks/exit")
            .number("exit_status"),
        137
    );
    ctr.delete_task(&id, 137);
    ctr.delete_container(&id).expect_code(0);
}

/// A container outlives the zygote that made it; how it ends is told all the
/// same, and the pod's next container has a new zygote.
fn killed_zygote(case: &Case) {
    let pod = case.id("pod");
    let init = case
        .run("pod")
        .in_pod(&pod, "sandbox")
        .guest(["sleep"])
        .detach();
    let shim = Shim::of(&case.containerd, &pod).connect(&pod).shim_pid;
    // Its launcher goes when it is started, and leaves it to the zygote.
    let parent = || processes::parent(init).expect("the guest's parent");
    wait::until_clean(LIMIT, || {
        let name = processes::name(parent());
        (name.as_deref() != Some("wasm-zygote")).then(|| format!("another parent, {name:?}"))
    });
    let zygote = parent();
    crate::suite::kill(zygote);
    assert!(wait::process_ends(zygote, LIMIT));
    assert!(processes::exists(init), "the guest was not kept");
    assert_eq!(
        case.run("app")
            .in_pod(&pod, "container")
            .guest(["hello"])
            .output()
            .success(),
        "hello from the guest\n"
    );
    case.containerd.ctr.kill(&pod, "SIGTERM").expect_code(0);
    let exit = case.containerd.events().wait(&pod, "/tasks/exit");
    assert_eq!(exit.number("exit_status"), 143);
    case.containerd.ctr.delete_task(&pod, 143);
    case.containerd.ctr.delete_container(&pod).expect_code(0);
    assert!(wait::process_ends(shim, LIMIT), "the shim outlives its pod");
}

/// `kill -9` of the shim while a hook of the user's runs: `delete` has not the
/// time to wait for it.
fn killed_shim_while_creating(case: &Case) {
    let (id, folder) = (case.id("a"), case.folder("a"));
    let group = format!("/{}/{id}", case.containerd.namespace());
    let mut spec = bundle::spec(&bundle::root_fs(&folder), &[GUEST, "sleep"], &group);
    spec["hooks"] = json!({"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "7"]}]});
    let file = bundle::write(&folder, &spec).to_string_lossy().into_owned();
    let run = case.run("a").flags(["--config", &file]);
    let live = run.default_program().start();
    let hook = || {
        let all = processes::all();
        let hook = all.iter().find(|process| process.command_line == "sleep 7");
        hook.map(|process| process.pid)
    };
    wait::until_clean(LIMIT, || hook().is_none().then(|| "no hook".into()));
    let shims = processes::shims(case.containerd.namespace());
    let flag = format!("-id {id} ");
    let shim = shims.iter().find(|shim| shim.command_line.contains(&flag));
    crate::suite::kill(shim.expect("the shim").pid);
    let output = live.finish(LIMIT);
    assert_ne!(output.code, 0, "{}", output.describe());
    leak::assert_no_trace(case.containerd.namespace(), &id);
    // The zygote takes a moment to bury it, on a busy machine.
    wait::until_clean(Duration::from_secs(2), || {
        let mut left = processes::all();
        left.retain(|process| process.command_line.contains("launcher"));
        (!left.is_empty()).then(|| format!("{left:?}"))
    });
    // The user's own, which nothing of ours may end.
    assert!(hook().is_some(), "the clean-up waited for the hook");
    wait::process_ends(hook().unwrap_or(u32::MAX), LIMIT);
    assert_eq!(
        case.run("a").guest(["hello"]).output().success(),
        "hello from the guest\n"
    );
}

/// Without a pid namespace of its own, what init leaves is not ended by the
/// kernel, and holds the output open for which `ctr` waits.
fn children_in_the_hosts_pids(case: &Case) {
    let (id, folder) = (case.id("a"), case.folder("a"));
    let group = format!("/{}/{id}", case.containerd.namespace());
    let mut spec = bundle::spec(&bundle::root_fs(&folder), &[NATIVE, "leave"], &group);
    let namespaces = spec["linux"]["namespaces"].as_array_mut().expect("a list");
    namespaces.retain(|namespace| namespace["type"] != "pid");
    let file = bundle::write(&folder, &spec).to_string_lossy().into_owned();
    let run = case.run("a").flags(["--config", &file]);
    let output = run.default_program().output();
    let child = output.success().trim().parse().expect("a pid");
    assert!(wait::process_ends(child, LIMIT), "the child is left");
}
