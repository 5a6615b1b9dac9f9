//! Containers whose root is nobody on the host (OCI runtime spec, "config-linux.md",
//! "User namespace mappings").

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use serde_json::{Value, json};
use shim_test::case::Case;
use shim_test::guest_image::{GUEST, NATIVE};
use shim_test::live::Live;
use shim_test::{bundle, ctr, processes};

crate::tests! {
    any: user_namespace_of_root, user_namespace_of_files, user_namespace_of_native_program, user_namespace_of_added_process, user_namespace_of_pod;
    wasm:
}

/// The host's number of the container's root.
const ROOT: u32 = 100_000;

fn is_mapped(spec: &mut Value) {
    let mapping = json!([{"containerID": 0, "hostID": ROOT, "size": 65_536}]);
    let linux = &mut spec["linux"];
    linux["uidMappings"] = mapping.clone();
    linux["gidMappings"] = mapping;
    let namespaces = linux["namespaces"].as_array_mut().expect("a list");
    namespaces.push(json!({"type": "user"}));
}

fn give(folder: &Path) {
    chown(folder, Some(ROOT), Some(ROOT)).expect("chown");
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            give(&path);
        } else {
            chown(&path, Some(ROOT), Some(ROOT)).expect("chown");
        }
    }
}

/// The file of a spec with a user namespace for this program.
fn config(case: &Case, id: &str, args: &[&str], change: impl FnOnce(&mut Value)) -> String {
    let folder = case.folder(&format!("bundle-{id}"));
    let root = bundle::root_fs(&folder);
    give(&root);
    let group = format!("/{}/{}", case.containerd.namespace(), case.id(id));
    let mut spec = bundle::spec(&root, args, &group);
    is_mapped(&mut spec);
    change(&mut spec);
    bundle::write(&folder, &spec).to_string_lossy().into_owned()
}

fn sleeping(case: &Case, id: &str) -> Live {
    let file = config(case, id, &[GUEST, "sleep"], |_| ());
    let run = case.run(id).flags(["--config", &file]);
    let mut live = run.default_program().start();
    live.expect_line("ready");
    live
}

/// As CRI asks for a pod with `hostUsers: false`: the containers join the user
/// namespace of the sandbox, and are told of its mappings too.
fn user_namespace_of_pod(case: &Case) {
    let pod = case.id("pod");
    let file = config(case, "pod", &[NATIVE, "pause"], |_| ());
    let run = case.run("pod").in_pod(&pod, "sandbox");
    run.flags(["--config", &file]).default_program().detach();
    let (sandbox, _) = case.containerd.ctr.status(&pod).expect("a task");
    for (id, args, wanted) in [
        ("guest", [GUEST, "hello"], "hello from the guest\n"),
        ("native", [NATIVE, "id"], "uid=0\ngid=0\n"),
    ] {
        let file = config(case, id, &args, |spec| {
            let namespaces = spec["linux"]["namespaces"].as_array_mut();
            for namespace in namespaces.expect("a list") {
                let name = match namespace["type"].as_str().expect("a type") {
                    "network" => "net",
                    name @ ("ipc" | "uts" | "user") => name,
                    _ => continue,
                };
                namespace["path"] = json!(processes::proc(sandbox).join("ns").join(name));
            }
            // It is the sandbox's.
            spec.as_object_mut().expect("an object").remove("hostname");
        });
        let run = case.run(id).in_pod(&pod, "container");
        let run = run.flags(["--config", &file]).default_program();
        let output = run.output().success();
        assert!(output.contains(wanted), "{output}");
    }
    case.containerd.ctr.remove(&pod);
}

fn end(case: &Case, live: Live) {
    case.containerd.ctr.kill(&live.id, "SIGKILL").expect_code(0);
    live.finish(ctr::LIMIT).expect_code(137);
}

fn user_namespace_of_root(case: &Case) {
    let live = sleeping(case, "a");
    let (pid, _) = case.containerd.ctr.status(&live.id).expect("a task");
    let status = |field| processes::status(pid, field).expect("a live process");
    for field in ["Uid", "Gid"] {
        let ids = status(field);
        assert!(
            ids.split_whitespace().all(|id| id == ROOT.to_string()),
            "{field}: {ids}"
        );
    }
    let map = fs::read_to_string(processes::proc(pid).join("uid_map")).expect("uid_map");
    let map: Vec<&str> = map.split_whitespace().collect();
    assert_eq!(map, ["0", "100000", "65536"]);
    end(case, live);
}

fn user_namespace_of_files(case: &Case) {
    let data = case.folder("data");
    give(&data);
    let args = [GUEST, "write", "/data/result", "text"];
    let file = config(case, "a", &args, |spec| {
        let mount = json!({"destination": "/data", "type": "bind", "source": data,
            "options": ["rbind", "rw"]});
        spec["mounts"].as_array_mut().expect("a list").push(mount);
    });
    let run = case.run("a").flags(["--config", &file]);
    run.default_program().output().expect_code(0);
    let metadata = fs::metadata(data.join("result")).expect("the result");
    assert_eq!((metadata.uid(), metadata.gid()), (ROOT, ROOT));
}

fn user_namespace_of_native_program(case: &Case) {
    let file = config(case, "a", &[NATIVE, "id"], |_| ());
    let run = case.run("a").flags(["--config", &file]);
    let output = run.default_program().output().success();
    assert!(output.contains("uid=0\ngid=0\n"), "{output}");
}

fn user_namespace_of_added_process(case: &Case) {
    let live = sleeping(case, "a");
    let exec = |program: &[&str]| {
        let mut line = vec!["tasks", "exec", "--exec-id", "x", &live.id];
        line.extend(program);
        case.containerd.ctr.call(&line)
    };
    exec(&[GUEST, "args", "one"])
        .success()
        .strip_prefix("[/guest]\n")
        .expect("its arguments");
    let output = exec(&[NATIVE, "id"]).success();
    assert!(output.contains("uid=0\ngid=0\n"), "{output}");
    end(case, live);
}
