//! What SECURITY.md promises and no other module tests: strangers at our sockets,
//! secrets in a guest's memory, links and names that lead out of where they are.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;
use serde_json::json;
use shim_test::bundle;
use shim_test::case::Case;
use shim_test::containerd::HOST_ENVIRONMENT;
use shim_test::guest_image::GUEST;
use shim_test::task::Shim;
use shim_test::{ctr, processes, sandbox};

crate::tests! {
    any: mount_through_a_link_of_the_image;
    wasm: strangers_reach_no_socket, memory_has_nothing_of_others, program_by_a_link_to_the_host, id_is_no_path,
        mount_through_a_link_into_proc, devices_of_the_host_stay_as_they_are
}

/// Runs `act` as nobody: the thread alone changes its user.
fn as_nobody<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    let nobody = Uid::from_raw(65534);
    let thread = thread::spawn(move || {
        set_thread_res_uid(nobody, nobody, nobody).expect("root's right");
        act()
    });
    thread.join().expect("no panic")
}

fn shims_socket(case: &Case, id: &str) -> PathBuf {
    let address = Shim::of(&case.containerd, id).address;
    address.strip_prefix("unix://").expect("a path").into()
}

/// The socket of the zygote that serves this test's shims.
fn zygotes_socket() -> PathBuf {
    let all = processes::all();
    let lines = all.iter().map(|process| process.command_line.as_str());
    let socket = lines
        .filter(|line| line.starts_with("wasm-zygote"))
        .find_map(|line| line.split_once(" serve "));
    socket.expect("a zygote").1.into()
}

fn packets(path: &Path) -> rustix::io::Result<std::os::fd::OwnedFd> {
    let kind = SocketType::SEQPACKET;
    let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

fn strangers_reach_no_socket(case: &Case) {
    let id = case.id("a");
    case.run("a").guest(["sleep"]).detach();
    let (shim, zygote) = (shims_socket(case, &id), zygotes_socket());
    assert!(UnixStream::connect(&shim).is_ok() && packets(&zygote).is_ok());
    let refused = as_nobody(move || {
        let shim = UnixStream::connect(shim).map_err(|error| error.kind());
        (shim.err(), packets(&zygote).err())
    });
    let denied = std::io::ErrorKind::PermissionDenied;
    assert_eq!(refused, (Some(denied), Some(Errno::ACCESS)));
    zygote_asks_who_is_there(zygotes_socket());
    case.containerd.ctr.remove(&id);
}

/// Were the folder and the socket open to all, a stranger would still be hung up on.
fn zygote_asks_who_is_there(socket: PathBuf) {
    let folder = socket.parent().expect("a folder").to_owned();
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
    };
    mode(&folder, 0o755);
    mode(&socket, 0o777);
    let heard = as_nobody(move || {
        let socket = packets(&socket)?;
        // Hung up already, maybe.
        let _ = send(
            &socket,
            br#"{"Fork":{"own_network":null}}"#,
            SendFlags::NOSIGNAL,
        );
        recv(&socket, &mut [0u8; 64][..], RecvFlags::empty()).map(|(count, _)| count)
    });
    mode(&folder, 0o700);
    assert!(
        matches!(heard, Ok(0) | Err(Errno::CONNRESET)),
        "a stranger hears {heard:?}"
    );
}

/// A guest is forked of what all containers of the node are forked of: nothing of
/// an earlier one, or of the host, may be in its memory.
fn memory_has_nothing_of_others(case: &Case) {
    let secret = format!("secret-of-{}-of-another", std::process::id());
    let other = case
        .run("other")
        .flags(["--env", &format!("TOKEN={secret}")]);
    let mut other = other.guest(["cat"]).start();
    other.send(&format!("{secret}\n")).expect_line(&secret);
    let pid = case.run("a").guest(["sleep"]).detach();
    let memory = memory(pid);
    let has = |text: &str| {
        memory
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    // What it does have is found, so that looking is known to work.
    assert!(has("FROM_IMAGE=as it is"), "{} bytes", memory.len());
    assert!(!has(&secret), "another's secret");
    for (name, value) in HOST_ENVIRONMENT {
        assert!(!has(&format!("{name}={value}")) || name == "HOME", "{name}");
    }
    other.close_stdin();
    other.finish(ctr::LIMIT).expect_code(0);
    case.containerd.ctr.remove(&case.id("a"));
}

/// All that a process can write to, and could have written.
fn memory(pid: u32) -> Vec<u8> {
    let maps = fs::read_to_string(processes::proc(pid).join("maps")).expect("maps");
    let mut file = File::open(processes::proc(pid).join("mem")).expect("mem");
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (range, _) = line.split_once(' ').expect("a range");
        let (start, end) = range.split_once('-').expect("two ends");
        let number = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
        let (start, length) = (number(start), number(end) - number(start));
        // A linear memory's address space, most of it not there.
        if length > 64 << 20 {
            continue;
        }
        let mut part = vec![0; usize::try_from(length).expect("a size")];
        let read = file
            .seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(&mut part));
        if read.is_ok() {
            all.extend(part);
        }
    }
    all
}

/// An image that has a link where something is mounted: it is followed inside the
/// root, and the host's folder of that name gets nothing.
fn mount_through_a_link_of_the_image(case: &Case) {
    let (folder, inputs, outside) = (case.folder("a"), case.folder("inputs"), case.folder("out"));
    fs::write(inputs.join("file"), "input").expect("a file");
    let root = bundle::root_fs(&folder);
    symlink(&outside, root.join("link")).expect("a link");
    let group = format!("/{}/{}", case.containerd.namespace(), case.id("a"));
    let mut spec = bundle::spec(&root, &[GUEST, "hello"], &group);
    let mounts = spec["mounts"].as_array_mut().expect("mounts");
    mounts.push(json!({
        "destination": "/link/inner", "type": "bind", "source": inputs, "options": ["rbind", "ro"],
    }));
    let file = bundle::write(&folder, &spec).to_string_lossy().into_owned();
    let run = case.run("a").flags(["--config", &file]);
    // It runs, or is refused; neither may reach outside.
    drop(run.default_program().output());
    let left = fs::read_dir(&outside).expect("the folder outside").count();
    assert_eq!(left, 0, "something was made outside of the root");
}

/// Native code is loaded through the kernel's /proc, which is not for an image to
/// cover with files of its own.
fn mount_through_a_link_into_proc(case: &Case) {
    let (folder, volume) = (case.folder("a"), case.folder("volume"));
    for number in 3..64 {
        fs::write(volume.join(number.to_string()), "no code").expect("a file");
    }
    let root = bundle::root_fs(&folder);
    fs::create_dir_all(root.join("proc/1/fd")).expect("what the link leads to");
    symlink("/proc/1/fd", root.join("link")).expect("a link");
    let group = format!("/{}/{}", case.containerd.namespace(), case.id("a"));
    let mut spec = bundle::spec(&root, &[GUEST, "hello"], &group);
    spec["annotations"] = json!({"io.containerd.wasm.aot": "wait"});
    let mounts = spec["mounts"].as_array_mut().expect("mounts");
    mounts.insert(
        0,
        json!({"destination": "/proc", "type": "proc", "source": "proc"}),
    );
    mounts.push(json!({
        "destination": "/link", "type": "bind", "source": volume, "options": ["rbind"],
    }));
    let file = bundle::write(&folder, &spec).to_string_lossy().into_owned();
    let run = case.run("a").flags(["--config", &file]);
    let output = run.default_program().output();
    assert_eq!(output.success(), "hello from the guest\n");
    let log = case.containerd.log_tail();
    assert!(!log.contains("can't be loaded"), "{log}");
}

/// A folder that is bound at /dev is not the container's to fill.
fn devices_of_the_host_stay_as_they_are(case: &Case) {
    let devices = case.folder("devices");
    fs::write(devices.join("ptmx"), "the host's").expect("a file");
    let run = case.run("a").mount(&devices, "/dev", "rbind:rw");
    assert_eq!(
        run.guest(["hello"]).output().success(),
        "hello from the guest\n"
    );
    // libcontainer does not ask whose folder it is.
    if !sandbox::makes_directly() {
        return;
    }
    let left: Vec<_> = fs::read_dir(&devices).expect("the folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let text = fs::read_to_string(devices.join("ptmx"));
    assert_eq!(text.expect("the file"), "the host's");
}

fn program_by_a_link_to_the_host(case: &Case) {
    let (folder, outside) = (case.folder("a"), case.folder("outside"));
    fs::copy(shim_test::paths::guest("guest.wasm"), outside.join("guest")).expect("a module");
    let root = bundle::root_fs(&folder);
    symlink(outside.join("guest"), root.join("absolute")).expect("a link");
    let up = format!("{}{}", "../".repeat(20), outside.join("guest").display());
    symlink(up, root.join("dots")).expect("a link");
    let group = format!("/{}/{}", case.containerd.namespace(), case.id("a"));
    for link in ["/absolute", "/dots"] {
        let imports = json!({"io.containerd.wasm.import-modules": format!("math={link}")});
        for (program, annotations) in [(link, json!({})), (GUEST, imports)] {
            let mut spec = bundle::spec(&root, &[program, "hello"], &group);
            spec["annotations"] = annotations;
            let file = bundle::write(&folder, &spec).to_string_lossy().into_owned();
            let run = case.run("a").flags(["--config", &file]);
            let output = run.default_program().output();
            assert_ne!(output.code, 0, "{}", output.describe());
            let text = output.stderr_text();
            assert!(text.contains(link), "{}", output.describe());
        }
    }
}

/// Ids become parts of paths.
fn id_is_no_path(case: &Case) {
    let host = case.id("host");
    case.run("host").guest(["sleep"]).detach();
    let shim = Shim::of(&case.containerd, &host);
    let folder = case.folder("a");
    let group = format!("/{}/{}", case.containerd.namespace(), case.id("a"));
    let root = bundle::root_fs(&folder);
    bundle::write(&folder, &bundle::spec(&root, &[GUEST, "hello"], &group));
    for id in ["../escaped", "a/b", "..", ".", ""] {
        let (_, sentence) = shim
            .create(id, &folder, [Path::new(""); 3])
            .expect_err("Create");
        assert!(sentence.contains("not a name"), "{id}: {sentence}");
    }
    assert!(!folder.join("escaped").exists());
    case.containerd.ctr.remove(&host);
}
