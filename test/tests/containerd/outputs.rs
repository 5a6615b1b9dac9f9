//! What goes into a Wasm container and what comes out of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Command;

use serde_json::json;
use shim_test::bundle;
use shim_test::case::Case;
use shim_test::command;
use shim_test::ctr;
use shim_test::guest_image::{self, GUEST, USER_ID};

use crate::errors::expect_refusal_of;

crate::tests! {
    any: ;
    wasm: outputs_in_the_writable_layer, outputs_of_a_user, outputs_not_in_a_read_only_root, outputs_left_as_they_are,
        outputs_not_for_native_programs, devices_can_be_used, links_resolve_inside, mount_source_missing, mount_of_a_file_on_a_folder, mount_destination_empty
}

/// What is written there with nothing mounted is found in the snapshot.
fn outputs_in_the_writable_layer(case: &Case) {
    let id = case.id("a");
    case.run("a")
        .guest(["write", "/outputs/result", "found"])
        .detach();
    case.containerd.events().wait(&id, "/tasks/exit");
    case.containerd.ctr.delete_task(&id, 0);
    let folder = case.folder("snapshot");
    let target = folder.to_string_lossy();
    let ctr = &case.containerd.ctr;
    let line = ctr.call(&["snapshots", "mounts", &target, &id]).success();
    shell(&line);
    let result = fs::read_to_string(folder.join("outputs/result"));
    shell(&format!("umount {target}"));
    assert_eq!(result.expect("the result"), "found");
    ctr.delete_container(&id).expect_code(0);
}

fn shell(line: &str) {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    command::output(command, ctr::LIMIT).success();
}

fn outputs_of_a_user(case: &Case) {
    let mut live = case
        .run("a")
        .image(guest_image::USER)
        .guest(["sleep"])
        .start();
    live.expect_line("ready");
    let outputs = case.containerd.bundle(&live.id).join("rootfs/outputs");
    let metadata = fs::metadata(&outputs).expect("/outputs");
    assert_eq!((metadata.uid(), metadata.gid()), (USER_ID, USER_ID));
    assert_eq!(metadata.mode() & 0o7777, 0o755);
    case.containerd.ctr.kill(&live.id, "SIGKILL").expect_code(0);
    live.finish(ctr::LIMIT).expect_code(137);
    let run = case.run("b").image(guest_image::USER);
    run.guest(["write", "/outputs/result", "text"])
        .output()
        .success();
}

fn outputs_not_in_a_read_only_root(case: &Case) {
    let read_only = |id| case.run(id).flags(["--read-only"]);
    let output = read_only("a").guest(["ls", "/"]).output().success();
    assert!(!output.contains("outputs"), "{output}");
    read_only("a")
        .guest(["write", "/outputs/result", "text"])
        .output()
        .expect_code(1);
    // But in a mount. Its mount point is made by nobody where nothing can be.
    let outputs = case.folder("outputs");
    let run = read_only("a").mount(&outputs, "/data", "rbind:rw");
    run.guest(["write", "/data/result", "text"])
        .output()
        .expect_code(0);
    assert!(outputs.join("result").exists());
}

/// A link that the image has there leads nowhere outside; nothing of it changes.
fn outputs_left_as_they_are(case: &Case) {
    let folder = case.folder("bundle");
    let group = format!("/{}/{}", case.containerd.namespace(), case.id("a"));
    let root = bundle::root_fs(&folder);
    let outside = case.folder("outside");
    symlink(&outside, root.join("outputs")).expect("a link");
    let spec = bundle::spec(&root, &[GUEST, "write", "/outputs/result", "text"], &group);
    let file = bundle::write(&folder, &spec).to_string_lossy().into_owned();
    case.run("a")
        .flags(["--config", &file])
        .default_program()
        .output()
        .expect_code(1);
    assert_eq!(fs::read_dir(&outside).expect("a folder").count(), 0);
    assert_eq!(
        fs::read_link(root.join("outputs")).expect("a link"),
        outside
    );
    assert_eq!(fs::metadata(&outside).expect("a folder").uid(), 0);
}

fn outputs_not_for_native_programs(case: &Case) {
    let mut live = case.run("a").program("/bin/native", ["sleep"]).start();
    live.expect_line("ready");
    let rootfs = case.containerd.bundle(&live.id).join("rootfs");
    let there = rootfs.join("outputs").exists();
    assert!(rootfs.join("data").exists(), "not the root");
    case.containerd.ctr.kill(&live.id, "SIGKILL").expect_code(0);
    live.finish(ctr::LIMIT).expect_code(137);
    assert!(!there);
}

/// Also for a user who is not root.
fn devices_can_be_used(case: &Case) {
    let run = |job: &[&'static str]| {
        let run = case.run("a").image(guest_image::USER);
        run.guest(job.iter().copied()).output().success()
    };
    assert_eq!(run(&["read", "/dev/null"]), "");
    run(&["write", "/dev/null", "text"]);
    assert_eq!(run(&["head", "/dev/zero", "8"]), "0000000000000000\n");
    for device in ["/dev/urandom", "/dev/random"] {
        let two = [run(&["head", device, "16"]), run(&["head", device, "16"])];
        assert_eq!((two[0].len(), two[1].len()), (33, 33), "{two:?}");
        assert_ne!(two[0], two[1]);
    }
}

/// Links resolve inside the preopen that they lie in, or nowhere: WASI follows
/// none that is absolute or has too many dots. Never do they in the host's root.
fn links_resolve_inside(case: &Case) {
    let (inputs, outside) = (case.folder("inputs"), case.folder("outside"));
    fs::write(outside.join("greeting"), "the host's").expect("a file of the host");
    fs::write(inputs.join("file"), "in the mount").expect("an input");
    for (name, target) in [
        ("absolute", "/data/greeting"),
        ("dots", "../../../../../../data/greeting"),
        ("beside", "../outside/greeting"),
        ("same", "./file"),
    ] {
        symlink(target, inputs.join(name)).expect("a link");
    }
    for (path, expected) in [
        ("/links/relative", Some("hello from the image\n")),
        ("/inputs/same", Some("in the mount")),
        ("/links/absolute", None),
        ("/links/dots", None),
        ("/links/folder/data/greeting", None),
        ("/inputs/absolute", None),
        ("/inputs/dots", None),
        ("/inputs/beside", None),
    ] {
        let run = case.run("a").mount(&inputs, "/inputs", "rbind:ro");
        // From the root, as folders at the root are preopens of their own else,
        // and no link leads from one to another.
        let output = run.flags(["--cwd", "/"]).guest(["read", path]).output();
        output.expect_code(i32::from(expected.is_none()));
        assert_eq!(output.stdout_text(), expected.unwrap_or_default(), "{path}");
    }
}

fn mount_source_missing(case: &Case) {
    let missing = case.folder("inputs").join("not there");
    let run = case.run("a").mount(&missing, "/inputs", "rbind:ro");
    let shown = missing.to_string_lossy();
    expect_refusal_of(
        case,
        run.guest(["hello"]),
        &[&shown, "/inputs", "does not exist"],
    );
}

/// Both ways round.
fn mount_of_a_file_on_a_folder(case: &Case) {
    let folder = case.folder("inputs");
    let file = folder.join("one.txt");
    fs::write(&file, "text").expect("an input");
    let run = case.run("a").mount(&file, "/data", "rbind:ro");
    let words = [&*file.to_string_lossy(), "/data", "is a file", "a folder"];
    expect_refusal_of(case, run.guest(["hello"]), &words);
    let run = case.run("a").mount(&folder, "/etc/passwd", "rbind:ro");
    let words = [
        &*folder.to_string_lossy(),
        "/etc/passwd",
        "is a folder",
        "a file",
    ];
    expect_refusal_of(case, run.guest(["hello"]), &words);
}

fn mount_destination_empty(case: &Case) {
    let folder = case.folder("bundle");
    let group = format!("/{}/{}", case.containerd.namespace(), case.id("a"));
    let mut spec = bundle::spec(&bundle::root_fs(&folder), &[GUEST, "hello"], &group);
    let mounts = spec["mounts"].as_array_mut().expect("mounts");
    mounts.push(json!({"destination": "", "source": folder, "options": ["rbind"]}));
    let file = bundle::write(&folder, &spec).to_string_lossy().into_owned();
    let run = case.run("a").flags(["--config", &file]).default_program();
    let words = [&*folder.to_string_lossy(), "empty destination"];
    expect_refusal_of(case, run, &words);
}
