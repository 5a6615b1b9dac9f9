//! `start` called at once for one id, as two containerds on one socket would.

use std::thread;

use shim_test::case::Case;
use shim_test::task::Shim;
use shim_test::{leak, processes, wait};

use crate::bundles::{LIMIT, assert_ended, logged_bundle, no_stdio, start_shim};

crate::tests! {
    any: ;
    wasm: started_eight_times_at_once, created_eight_times_at_once
}

/// One server comes of it, and all are told of that one.
fn started_eight_times_at_once(case: &Case) {
    let (id, folder) = logged_bundle(case, "hello");
    let addresses: Vec<String> = thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| start_shim(case, &id, &folder)))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().expect("a start"))
            .collect()
    });
    assert!(
        addresses.iter().all(|address| *address == addresses[0]),
        "{addresses:?}"
    );
    let servers = servers(case, &id);
    assert_eq!(servers.len(), 1, "{servers:?}");
    let shim = Shim::at(&addresses[0]);
    shim.create(&id, &folder, no_stdio()).expect("Create");
    shim.start(&id).expect("Start");
    assert_eq!(shim.wait(&id).expect("Wait").exit_status, 0);
    shim.delete(&id).expect("Delete");
    shim.shutdown(&id, false).expect("Shutdown");
    servers.into_iter().for_each(assert_ended);
    leak::assert_no_trace(case.containerd.namespace(), &id);
}

fn servers(case: &Case, id: &str) -> Vec<u32> {
    let flag = format!("-id {id} ");
    let shims = || {
        let mut shims = processes::shims(case.containerd.namespace());
        shims.retain(|shim| format!("{} ", shim.command_line).contains(&flag));
        shims
    };
    // Those who have only asked are gone in a moment.
    wait::until_clean(LIMIT, || {
        (shims().len() != 1).then(|| format!("{:?}", shims()))
    });
    shims().into_iter().map(|shim| shim.pid).collect()
}

/// One Create wins, the others hear that there is one.
fn created_eight_times_at_once(case: &Case) {
    let (id, folder) = logged_bundle(case, "sleep");
    let address = start_shim(case, &id, &folder);
    let answers: Vec<_> = thread::scope(|scope| {
        let create = || Shim::at(&address).create(&id, &folder, no_stdio());
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        calls
            .into_iter()
            .map(|call| call.join().expect("a call"))
            .collect()
    });
    let (created, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(created.len(), 1, "{created:?}");
    for answer in refused {
        let (_, sentence) = answer.expect_err("a refusal");
        assert!(sentence.contains("exists already"), "{sentence}");
    }
    let shim = Shim::at(&address);
    let pid = shim.state(&id).expect("State").pid;
    shim.delete(&id).expect("Delete");
    assert_ended(pid);
    shim.shutdown(&id, false).expect("Shutdown");
    leak::assert_no_trace(case.containerd.namespace(), &id);
}
