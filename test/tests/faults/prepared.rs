//! What is prepared for a container before it is asked for, where that goes
//! another way.

use std::fs;

use containerd_shim_protos::api::{CreateTaskRequest, CreateTaskResponse};
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::{Message, MessageField};
use containerd_shim_protos::shim::oci::Options;
use serde_json::json;
use shim_test::case::Case;
use shim_test::guest_image::GUEST;
use shim_test::task::Shim;
use shim_test::{cgroup, leak, processes, sandbox, wait};

use crate::bundles::{
    LIMIT, assert_ended, clean_up, group, kill, logged_bundle, no_stdio, start_shim,
};

crate::tests! {
    any: ;
    wasm: config_changed_after_start, asked_with_other_options, prepared_and_never_asked_for,
        shim_killed_when_prepared, launcher_killed_when_prepared, init_killed_when_prepared,
        zygote_killed_when_prepared, created_holds_nothing_of_the_host
}

/// The processes that work for a container that nobody has asked for yet: its
/// launcher and its init, which is in the container's cgroup.
fn prepared(case: &Case, id: &str) -> (u32, u32) {
    let mut found = None;
    wait::until_clean(LIMIT, || {
        let members = cgroup::value(&group(case, id), &["cgroup.procs"]).unwrap_or_default();
        let init = members.lines().find_map(|pid| pid.parse().ok());
        found = init.and_then(|init| Some((processes::parent(init)?, init)));
        found.is_none().then(|| "no init in the cgroup".into())
    });
    let (launcher, init) = found.expect("both");
    assert_eq!(processes::name(launcher).as_deref(), Some("wasm-launcher"));
    assert_eq!(processes::name(init).as_deref(), Some("wasm-init"));
    (launcher, init)
}

fn finish(case: &Case, shim: &Shim, id: &str, status: u32) {
    shim.start(id).expect("Start");
    assert_eq!(shim.wait(id).expect("Wait").exit_status, status);
    shim.delete(id).expect("Delete");
    shim.shutdown(id, false).expect("Shutdown");
    leak::assert_no_trace(case.containerd.namespace(), id);
}

/// What counts is what is there at Create.
fn config_changed_after_start(case: &Case) {
    let (id, folder) = logged_bundle(case, "hello");
    let shim = Shim::at(&start_shim(case, &id, &folder));
    let (launcher, init) = prepared(case, &id);
    let file = folder.join("config.json");
    let config = fs::read_to_string(&file).expect("config.json");
    let mut config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    config["process"]["args"] = json!([GUEST, "exit", "7"]);
    fs::write(&file, config.to_string()).expect("config.json");
    shim.create(&id, &folder, no_stdio()).expect("Create");
    assert_ended(launcher);
    assert_ended(init);
    finish(case, &shim, &id, 7);
}

/// Which come with Create.
fn asked_with_other_options(case: &Case) {
    let (id, folder) = logged_bundle(case, "hello");
    let shim = Shim::at(&start_shim(case, &id, &folder));
    let (launcher, _) = prepared(case, &id);
    let options = Options {
        no_new_keyring: true,
        ..Default::default()
    };
    let options = Any {
        type_url: "containerd.runc.v1.Options".into(),
        value: options.write_to_bytes().expect("a message"),
        ..Default::default()
    };
    let request = CreateTaskRequest {
        id: id.clone(),
        bundle: folder.display().to_string(),
        options: MessageField::some(options),
        ..Default::default()
    };
    let created = shim.call::<_, CreateTaskResponse>("Create", &request);
    created.expect("Create");
    assert_ended(launcher);
    finish(case, &shim, &id, 0);
}

/// Nothing of it is left when the shim has gone.
fn prepared_and_never_asked_for(case: &Case) {
    let (id, folder) = logged_bundle(case, "hello");
    let shim = Shim::at(&start_shim(case, &id, &folder));
    let (launcher, init) = prepared(case, &id);
    shim.shutdown(&id, false).expect("Shutdown");
    assert_undone(case, &id, (launcher, init));
}

fn shim_killed_when_prepared(case: &Case) {
    let (id, folder) = logged_bundle(case, "hello");
    start_shim(case, &id, &folder);
    let both = prepared(case, &id);
    kill(processes::shim_of(&id).expect("the shim").pid);
    assert_undone(case, &id, both);
    clean_up(case, &id, &folder);
    leak::assert_no_trace(case.containerd.namespace(), &id);
}

fn assert_undone(case: &Case, id: &str, (launcher, init): (u32, u32)) {
    assert_ended(launcher);
    assert_ended(init);
    wait::until_clean(LIMIT, || {
        let left = cgroup::folders(&group(case, id));
        left.first().map(|folder| folder.display().to_string())
    });
}

/// Another one is made when it is asked for.
fn launcher_killed_when_prepared(case: &Case) {
    killed_when_prepared(case, |(launcher, _)| launcher);
}

fn init_killed_when_prepared(case: &Case) {
    killed_when_prepared(case, |(_, init)| init);
}

/// Another zygote makes it, and knows how it ended.
fn zygote_killed_when_prepared(case: &Case) {
    killed_when_prepared(case, |(launcher, _)| {
        processes::parent(launcher).expect("the zygote")
    });
}

/// While a module is loaded, and until it is started. (What libcontainer makes
/// holds more until then, without the right to use it.)
fn created_holds_nothing_of_the_host(case: &Case) {
    if !sandbox::makes_directly() {
        return;
    }
    let (id, folder) = logged_bundle(case, "hello");
    let shim = Shim::at(&start_shim(case, &id, &folder));
    let created = shim.create(&id, &folder, no_stdio()).expect("Create");
    for (_, file) in processes::descriptors(created.pid) {
        let file = file.display().to_string();
        // Where it waits to be started; and the way to native code, unused.
        let is_known =
            file == "/dev/null" || file.starts_with("pipe:") || file.starts_with("socket:");
        assert!(is_known, "{file}");
    }
    finish(case, &shim, &id, 0);
}

fn killed_when_prepared(case: &Case, which: impl Fn((u32, u32)) -> u32) {
    let (id, folder) = logged_bundle(case, "hello");
    let shim = Shim::at(&start_shim(case, &id, &folder));
    let both = prepared(case, &id);
    let killed = which(both);
    kill(killed);
    wait::until_clean(LIMIT, || {
        let state = processes::status(killed, "State");
        // A zombie until its parent asks.
        let is_alive = state.is_some_and(|state| !state.starts_with('Z'));
        is_alive.then(|| format!("process {killed}"))
    });
    shim.create(&id, &folder, no_stdio()).expect("Create");
    finish(case, &shim, &id, 0);
}
