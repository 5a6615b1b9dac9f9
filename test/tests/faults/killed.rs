//! `kill -9` of each process that takes part, in the middle of each step.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use shim_test::case::Case;
use shim_test::command::Output;
use shim_test::events::Event;
use shim_test::guest_image::GUEST;
use shim_test::live::Live;
use shim_test::{cgroup, ctr, processes, wait};

use crate::bundles::{
    LIMIT, assert_ended, bundle, group, host, is_usable_again, kill, no_stdio, remove_host, run_of,
};
use crate::hold::Hold;

crate::tests! {
    any: guest_killed;
    wasm: shim_killed_in_create, zygote_killed_in_create, launcher_killed_in_create, guest_killed_in_create,
        launcher_killed_before_start,
        shim_killed_in_start, zygote_killed_in_start, launcher_killed_in_start, guest_killed_in_start,
        shim_killed_in_exec, zygote_killed_in_exec, launcher_killed_in_exec, guest_killed_in_exec,
        shim_killed_in_delete, zygote_killed_in_delete, launcher_killed_in_delete
}

type Victim = fn(&Parts) -> Option<u32>;

/// The processes that have to do with one container.
#[derive(Debug)]
struct Parts {
    shim: u32,
    zygote: Option<u32>,
    launcher: u32,
    guest: Option<u32>,
    /// What is in its cgroup.
    members: Vec<u32>,
}

impl Parts {
    fn of(case: &Case, id: &str, launcher: u32) -> Self {
        let flag = format!("-id {id} ");
        let shims = processes::shims(case.containerd.namespace());
        let shim = shims
            .iter()
            .find(|shim| format!("{} ", shim.command_line).contains(&flag));
        assert_eq!(processes::name(launcher).as_deref(), Some("wasm-launcher"));
        // Another test may have killed the zygote just before.
        let parent = processes::parent(launcher);
        let is_zygote = |pid: &u32| processes::name(*pid).as_deref() == Some("wasm-zygote");
        let zygote = parent.filter(is_zygote);
        let members = members(case, id);
        Self {
            shim: shim.expect("the shim").pid,
            zygote,
            launcher,
            // Beside who makes it, and goes, it is the last that came.
            guest: members.last().copied(),
            members,
        }
    }

    /// All but the zygote, which others use, end with the container.
    fn assert_ended(&self) {
        let of_container = [self.shim, self.launcher];
        of_container
            .into_iter()
            .chain(self.members.iter().copied())
            .for_each(assert_ended);
    }
}

/// In any hierarchy: who comes joins one after the other.
fn members(case: &Case, id: &str) -> Vec<u32> {
    let all: BTreeSet<u32> = cgroup::folders(&group(case, id))
        .into_iter()
        .filter_map(|folder| fs::read_to_string(folder.join("cgroup.procs")).ok())
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| line.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect();
    all.into_iter().collect()
}

/// Kills `victim` while a hook of this kind runs in `ctr run --rm`, lets the
/// hook go, and returns what `ctr` said.
fn in_hook(case: &Case, kind: &str, args: &[&str], victim: Victim) -> (Output, Parts) {
    let id = case.id("a");
    let hold = Hold::new(case.folder("hold"));
    let command: Vec<&str> = [GUEST].iter().chain(args).copied().collect();
    let run = run_of(case, "a", &command, |spec| {
        spec["hooks"] = Value::Object([(kind.to_owned(), hold.hook())].into_iter().collect());
    });
    let live = run.start();
    let launcher = processes::parent(hold.pid()).expect("the hook's parent");
    let parts = Parts::of(case, &id, launcher);
    if let Some(victim) = victim(&parts) {
        kill(victim);
        assert_ended(victim);
    }
    hold.let_go();
    (live.finish(ctr::LIMIT), parts)
}

/// After a failure: the client has heard of it, and nothing is left.
fn failed(case: &Case, (output, parts): &(Output, Parts), says: &[&str]) {
    assert_ne!(output.code, 0, "{}", output.describe());
    let text = output.stderr_text();
    assert!(
        says.iter().any(|words| text.contains(words)),
        "none of {says:?}: {}",
        output.describe()
    );
    case.containerd.ctr.remove(&case.id("a"));
    parts.assert_ended();
    is_usable_again(case, "a");
}

/// What containerd says of a shim that is gone in the middle of a call.
const SHIM_GONE: &[&str] = &[
    "ttrpc: closed",
    "ttrpc: server closed",
    "connection reset",
    "not found",
];
const LAUNCHER_GONE: &[&str] = &["the launcher of the container was killed"];

fn shim_killed_in_create(case: &Case) {
    let outcome = in_hook(case, "createRuntime", &["sleep"], |parts| Some(parts.shim));
    failed(case, &outcome, SHIM_GONE);
}

/// The launcher needs no zygote; who is init's parent then is not counted on.
fn zygote_killed_in_create(case: &Case) {
    let (output, parts) = in_hook(case, "createRuntime", &["exit", "7"], |parts| parts.zygote);
    output.expect_code(7);
    parts.assert_ended();
    is_usable_again(case, "a");
}

fn launcher_killed_in_create(case: &Case) {
    let outcome = in_hook(case, "createRuntime", &["sleep"], |parts| {
        Some(parts.launcher)
    });
    failed(case, &outcome, LAUNCHER_GONE);
}

fn guest_killed_in_create(case: &Case) {
    let outcome = in_hook(case, "createRuntime", &["sleep"], |parts| parts.guest);
    failed(case, &outcome, &["the container's process was killed"]);
}

/// Between Create and Start, as containerd calls them.
fn launcher_killed_before_start(case: &Case) {
    let shim = host(case);
    let (id, folder) = bundle(case, "a", &[GUEST, "sleep"], |spec| {
        // Made by libcontainer; a launcher of others is gone after Create.
        spec["hooks"] = json!({});
    });
    let pid = shim.create(&id, &folder, no_stdio()).expect("Create").pid;
    let launcher = processes::parent(pid).expect("its launcher");
    assert_eq!(processes::name(launcher).as_deref(), Some("wasm-launcher"));
    kill(launcher);
    assert_ended(launcher);
    let (_, sentence) = shim.start(&id).expect_err("Start");
    assert!(sentence.contains(LAUNCHER_GONE[0]), "{sentence}");
    let deleted = shim.delete(&id).expect("Delete");
    assert_eq!((deleted.pid, deleted.exit_status), (pid, 137));
    assert_ended(pid);
    remove_host(case);
    is_usable_again(case, "a");
}

fn shim_killed_in_start(case: &Case) {
    let outcome = in_hook(case, "poststart", &["sleep"], |parts| Some(parts.shim));
    failed(case, &outcome, SHIM_GONE);
}

fn zygote_killed_in_start(case: &Case) {
    let (output, parts) = in_hook(case, "poststart", &["exit", "7"], |parts| parts.zygote);
    output.expect_code(7);
    parts.assert_ended();
    is_usable_again(case, "a");
}

fn launcher_killed_in_start(case: &Case) {
    let outcome = in_hook(case, "poststart", &["sleep"], |parts| Some(parts.launcher));
    failed(case, &outcome, LAUNCHER_GONE);
}

/// The program has begun: that it was killed is its exit code.
fn guest_killed_in_start(case: &Case) {
    let (output, parts) = in_hook(case, "poststart", &["sleep"], |parts| parts.guest);
    output.expect_code(137);
    parts.assert_ended();
    is_usable_again(case, "a");
}

fn shim_killed_in_delete(case: &Case) {
    let outcome = in_hook(case, "poststop", &["hello"], |parts| Some(parts.shim));
    failed(case, &outcome, SHIM_GONE);
}

fn zygote_killed_in_delete(case: &Case) {
    let (output, parts) = in_hook(case, "poststop", &["exit", "7"], |parts| parts.zygote);
    output.expect_code(7);
    parts.assert_ended();
    is_usable_again(case, "a");
}

/// Hooks are the user's: one that fails keeps no container (OCI runtime spec).
fn launcher_killed_in_delete(case: &Case) {
    let (output, parts) = in_hook(case, "poststop", &["exit", "7"], |parts| {
        Some(parts.launcher)
    });
    output.expect_code(7);
    parts.assert_ended();
    is_usable_again(case, "a");
}

/// Stops the container's processes, and with them those that come.
fn freeze(case: &Case, id: &str, frozen: bool) {
    let files: Vec<(PathBuf, &str)> = cgroup::folders(&group(case, id))
        .into_iter()
        .flat_map(|folder| {
            [
                (
                    folder.join("freezer.state"),
                    if frozen { "FROZEN" } else { "THAWED" },
                ),
                (folder.join("cgroup.freeze"), if frozen { "1" } else { "0" }),
            ]
        })
        .filter(|(file, _)| file.exists())
        .collect();
    for (file, state) in files {
        fs::write(file, state).expect("the freezer");
    }
}

/// Kills `victim` while a process is being added: a container that stands still
/// holds it up where it has just come into the cgroup.
fn in_exec(case: &Case, victim: Victim) -> (Output, Parts) {
    let id = case.id("a");
    case.run("a").guest(["sleep"]).detach();
    let before = members(case, &id);
    freeze(case, &id, true);
    let mut exec = case.containerd.ctr.command();
    exec.args(["tasks", "exec", "--exec-id", "b", &id, GUEST, "hello"]);
    let exec = Live::piped(exec, id.clone());
    let launcher = || {
        let new = members(case, &id)
            .into_iter()
            .find(|pid| !before.contains(pid))?;
        let parent = processes::parent(new)?;
        (processes::name(parent)? == "wasm-launcher").then_some(parent)
    };
    wait::until_clean(LIMIT, || {
        launcher()
            .is_none()
            .then(|| "nobody who adds a process".into())
    });
    let mut parts = Parts::of(case, &id, launcher().expect("the launcher"));
    parts.guest = before.first().copied();
    if let Some(victim) = victim(&parts) {
        kill(victim);
        // The guest, which stands still, ends when it is let go.
        if Some(victim) != parts.guest {
            assert_ended(victim);
        }
    }
    if !cgroup::folders(&group(case, &id)).is_empty() {
        freeze(case, &id, false);
    }
    (exec.finish(ctr::LIMIT), parts)
}

fn shim_killed_in_exec(case: &Case) {
    let outcome = in_exec(case, |parts| Some(parts.shim));
    failed(case, &outcome, SHIM_GONE);
}

fn zygote_killed_in_exec(case: &Case) {
    let (output, parts) = in_exec(case, |parts| parts.zygote);
    assert_eq!(output.success(), "hello from the guest");
    case.containerd.ctr.remove(&case.id("a"));
    parts.assert_ended();
    is_usable_again(case, "a");
}

/// The container goes on, and so does the next who adds a process.
fn launcher_killed_in_exec(case: &Case) {
    let outcome = in_exec(case, |parts| Some(parts.launcher));
    let id = case.id("a");
    assert!(
        outcome.1.guest.is_some_and(processes::exists),
        "the container ended"
    );
    let again = ["tasks", "exec", "--exec-id", "c", &id, GUEST, "hello"];
    let again = case.containerd.ctr.call(&again);
    assert_eq!(again.success(), "hello from the guest\n");
    failed(case, &outcome, LAUNCHER_GONE);
}

fn guest_killed_in_exec(case: &Case) {
    let (output, parts) = in_exec(case, |parts| parts.guest);
    // Which of the two goes on first when both are let go is the kernel's choice:
    // the process is not added, or ends with the container, or before it.
    let failed = output.code != 0 && !output.stderr.is_empty();
    let ran = [0, 137].contains(&output.code);
    assert!(failed || ran, "{}", output.describe());
    let id = case.id("a");
    // The added process has an exit of its own.
    let of_init = |event: &Event| event.topic == "/tasks/exit" && event.body["id"] == id.as_str();
    let exit = || case.containerd.events().of(&id).into_iter().find(of_init);
    wait::until_clean(LIMIT, || exit().is_none().then(|| "no exit".into()));
    assert_eq!(exit().expect("the exit").number("exit_status"), 137);
    case.containerd.ctr.remove(&id);
    parts.assert_ended();
    is_usable_again(case, "a");
}

/// From outside of the container, as the kernel does that has no memory left.
fn guest_killed(case: &Case) {
    let mut live = case.run("a").guest(["sleep"]).start();
    live.expect_line("ready");
    let started = case.containerd.events().wait(&live.id, "/tasks/start");
    kill(started.number("pid"));
    live.finish(ctr::LIMIT).expect_code(137);
    is_usable_again(case, "a");
}
