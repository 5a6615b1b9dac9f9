//! The root file system and what is mounted into it.

use std::fs;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use shim_test::case::Case;
use shim_test::command::Output;
use shim_test::guest_image::GUEST;
use shim_test::{mounts, paths, sandbox};

crate::tests! {
    any: writable_rootfs, read_only_rootfs, rootfs_stays_unmodified, inputs_and_outputs, nested_mounts,
        names_with_spaces_and_unicode, mount_of_a_file, links_stay_inside, propagation;
    wasm: host_out_of_sight
}

fn assert_refused(output: &Output) {
    output.expect_code(1);
    let text = output.stderr_text().to_lowercase();
    let reasons = [
        "read-only",
        "not permitted",
        "permission denied",
        "capabilities insufficient",
    ];
    assert!(
        reasons.iter().any(|reason| text.contains(reason)),
        "the guest was not told why: {}",
        output.describe()
    );
}

fn writable_rootfs(case: &Case) {
    case.run("a")
        .guest(["write", "/data/new", "text"])
        .output()
        .expect_code(0);
    // A new container starts from the image again.
    case.run("b")
        .guest(["read", "/data/new"])
        .output()
        .expect_code(1);
}

fn read_only_rootfs(case: &Case) {
    for path in ["/data/new", "/data/greeting", "/new", "/tmp/new"] {
        assert_refused(
            &case
                .run("a")
                .flags(["--read-only"])
                .guest(["write", path, "text"])
                .output(),
        );
    }
    let run = case.run("b").flags(["--read-only"]);
    assert_eq!(
        run.guest(["read", "/data/greeting"]).output().success(),
        "hello from the image\n"
    );
    assert_upper_layer(case, &["--read-only"], &[]);
}

/// The runtime itself writes nothing either, as all mount points are in the
/// image, but for the folder for results that Wasm guests get.
fn rootfs_stays_unmodified(case: &Case) {
    let made = if paths::runs_wasm() {
        vec!["outputs"]
    } else {
        vec![]
    };
    assert_upper_layer(case, &[], &made);
}

fn assert_upper_layer(case: &Case, flags: &[&str], expected: &[&str]) {
    let mut live = case
        .run("c")
        .flags(flags.iter().copied())
        .guest(["sleep"])
        .start();
    live.expect_line("ready");
    let root = case.containerd.bundle(&live.id).join("rootfs");
    let upper = mounts::all()
        .into_iter()
        .find_map(|mount| {
            (Path::new(&mount.target) == root)
                .then(|| mount.upper_dir())
                .flatten()
        })
        .expect("an overlay on the bundle's rootfs");
    let changes: Vec<_> = fs::read_dir(&upper)
        .expect("the upper layer")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    case.containerd.ctr.kill(&live.id, "SIGKILL").expect_code(0);
    live.finish(shim_test::ctr::LIMIT).expect_code(137);
    assert_eq!(changes, expected);
}

fn inputs_and_outputs(case: &Case) {
    let (inputs, outputs) = (case.folder("inputs"), case.folder("outputs"));
    fs::write(inputs.join("in.txt"), "from the host").expect("an input");
    let run = |id| {
        case.run(id)
            .mount(&inputs, "/inputs", "rbind:ro")
            .mount(&outputs, "/outputs", "rbind:rw")
    };
    assert_eq!(
        run("a")
            .guest(["read", "/inputs/in.txt"])
            .output()
            .success(),
        "from the host"
    );
    run("b")
        .guest(["write", "/outputs/out.txt", "from the guest"])
        .output()
        .expect_code(0);
    assert_eq!(
        fs::read_to_string(outputs.join("out.txt")).expect("the output"),
        "from the guest"
    );
    assert_refused(
        &run("c")
            .guest(["write", "/inputs/in.txt", "changed"])
            .output(),
    );
    assert_refused(&run("d").guest(["write", "/inputs/new.txt", "new"]).output());
    assert_eq!(
        fs::read_to_string(inputs.join("in.txt")).expect("the input"),
        "from the host"
    );
    assert!(!inputs.join("new.txt").exists());
    assert_eq!(
        run("e").guest(["ls", "/inputs"]).output().success(),
        "in.txt\n"
    );
}

fn nested_mounts(case: &Case) {
    let (outer, inner) = (case.folder("outer"), case.folder("inner"));
    fs::create_dir(outer.join("inner")).expect("a mount point");
    fs::write(outer.join("name"), "outer").expect("an input");
    fs::write(inner.join("name"), "inner").expect("an input");
    let run = |id| {
        case.run(id).mount(&outer, "/mnt/outer", "rbind:ro").mount(
            &inner,
            "/mnt/outer/inner",
            "rbind:rw",
        )
    };
    assert_eq!(
        run("a")
            .guest(["read", "/mnt/outer/name"])
            .output()
            .success(),
        "outer"
    );
    assert_eq!(
        run("b")
            .guest(["read", "/mnt/outer/inner/name"])
            .output()
            .success(),
        "inner"
    );
    // The inner mount is writable though the outer is not.
    run("c")
        .guest(["write", "/mnt/outer/inner/new", "text"])
        .output()
        .expect_code(0);
    assert_eq!(
        fs::read_to_string(inner.join("new")).expect("the output"),
        "text"
    );
    assert_refused(&run("d").guest(["write", "/mnt/outer/new", "text"]).output());
}

/// What the host mounts below a volume while the container runs (OCI runtime
/// spec, "config-linux.md", "Rootfs Mount Propagation").
fn propagation(case: &Case) {
    let volume = case.folder("volume");
    let inner = volume.join("inner");
    fs::create_dir(&inner).expect("a mount point");
    mounts::share(&volume);
    let run = case
        .run("a")
        .mount(&volume, "/usual", "rbind:rw")
        .mount(&volume, "/slave", "rbind:rslave:rw")
        .mount(&volume, "/private", "rbind:rprivate:rw");
    run.guest(["sleep"]).detach();
    mount("tmpfs", &inner, "tmpfs", MountFlags::empty(), None).expect("tmpfs");
    fs::write(inner.join("file"), "mounted later").expect("a file");
    let read = |mounted: &str| {
        let path = format!("{mounted}/inner/file");
        let line = [
            "tasks",
            "exec",
            "--exec-id",
            "x",
            &case.id("a"),
            GUEST,
            "read",
            &path,
        ];
        case.containerd.ctr.call(&line)
    };
    for mounted in ["/usual", "/slave"] {
        assert_eq!(read(mounted).success(), "mounted later", "{mounted}");
    }
    // libcontainer alone takes the one for the other.
    if sandbox::makes_directly() {
        read("/private").expect_code(1);
    }
    case.containerd.ctr.remove(&case.id("a"));
    for mounted in [&inner, &volume] {
        unmount(mounted, UnmountFlags::DETACH).expect("what was mounted above");
    }
}

fn names_with_spaces_and_unicode(case: &Case) {
    let folder = case.folder("with space and ünïcode 漢字");
    fs::write(folder.join("a file ✓"), "found").expect("an input");
    let target = "/mnt/also space and ünïcode 漢字";
    let path = format!("{target}/a file ✓");
    let run = case.run("a").mount(&folder, target, "rbind:ro");
    assert_eq!(run.guest(["read", &path]).output().success(), "found");
}

fn mount_of_a_file(case: &Case) {
    let file = case.folder("files").join("single.conf");
    fs::write(&file, "one file").expect("an input");
    let run = |id| case.run(id).mount(&file, "/etc/single.conf", "rbind:rw");
    assert_eq!(
        run("a")
            .guest(["read", "/etc/single.conf"])
            .output()
            .success(),
        "one file"
    );
    run("b")
        .guest(["write", "/etc/single.conf", "changed"])
        .output()
        .expect_code(0);
    assert_eq!(fs::read_to_string(&file).expect("the file"), "changed");
    // It is that file alone that came in.
    assert_eq!(
        run("c").guest(["ls", "/etc"]).output().success(),
        "group\npasswd\nsingle.conf\n"
    );
}

/// A link in a mount leads to nothing outside, be it absolute or with dots.
fn links_stay_inside(case: &Case) {
    let (inputs, secret) = (case.folder("inputs"), case.folder("outside").join("secret"));
    fs::write(&secret, "secret").expect("a file of the host");
    std::os::unix::fs::symlink(&secret, inputs.join("absolute")).expect("a link");
    std::os::unix::fs::symlink("../outside/secret", inputs.join("dots")).expect("a link");
    for link in ["absolute", "dots"] {
        let path = format!("/inputs/{link}");
        let output = case
            .run("a")
            .mount(&inputs, "/inputs", "rbind:ro")
            .guest(["read", &path])
            .output();
        output.expect_code(1);
        assert_eq!(output.stdout_text(), "");
    }
}

/// Neither the kernel's file systems nor the host's files are there by path.
fn host_out_of_sight(case: &Case) {
    let secret = case.folder("outside").join("secret");
    fs::write(&secret, "secret").expect("a file of the host");
    // Standard devices and places for them, as the OCI runtime spec says.
    let devices = [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
        "stdout", "tty", "urandom", "zero",
    ];
    let output = case.run("a").guest(["ls", "/dev"]).output().success();
    for name in output.lines() {
        assert!(devices.contains(&name), "/dev/{name} is visible");
    }
    for folder in ["/proc", "/sys", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
        let output = case.run("a").guest(["ls", folder]).output();
        assert_eq!(
            output.stdout_text(),
            "",
            "{folder} is visible: {}",
            output.describe()
        );
    }
    let secret = secret.to_string_lossy().into_owned();
    let climbing = format!("/../../../../../../../../../..{secret}");
    for path in [
        secret.as_str(),
        &climbing,
        "/proc/1/environ",
        "/proc/self/root/etc/passwd",
        "/dev/mem",
    ] {
        let output = case.run("b").guest(["read", path]).output();
        output.expect_code(1);
        assert_eq!(output.stdout_text(), "");
    }
}
