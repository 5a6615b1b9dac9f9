//! Several containers in one pod.

use std::io::{Read, Write};
use std::net::TcpStream;

use shim_test::processes;

use crate::harness::{Case, INDEX_IMAGE, NATIVE_IMAGE, PACKED_IMAGE, image};

shim_test::tests! {
    any: guest_and_sidecar;
    wasm: packed_image, index_image_is_refused, serves_tcp, talks_within_the_pod
}

const SOCKET: &str = "/bin/socket";

/// One shim serves the sandbox, a module and a native program of another image.
fn guest_and_sidecar(case: &Case) {
    let pod = case.pod("a", |_| {});
    let guest = pod.start("guest", &["sleep"], |_| {});
    let sidecar = pod.start("sidecar", &["sleep"], |config| {
        config.image = Some(image(NATIVE_IMAGE));
    });
    for container in [&guest, &sidecar] {
        container.log().expect("ready\n");
        assert!(processes::shim_of(&container.id).is_none());
    }
    assert!(processes::shim_of(&pod.id).is_some());
    let pid = |id: &str| case.server.containerd.ctr.status(id).expect("a task").0;
    let namespace = |id: &str, kind: &str| {
        std::fs::read_link(format!("/proc/{}/ns/{kind}", pid(id))).expect("a namespace")
    };
    for kind in ["net", "ipc", "uts"] {
        assert_eq!(
            namespace(&guest.id, kind),
            namespace(&pod.id, kind),
            "{kind}"
        );
        assert_eq!(
            namespace(&sidecar.id, kind),
            namespace(&pod.id, kind),
            "{kind}"
        );
    }
    for kind in ["pid", "mnt"] {
        assert_ne!(
            namespace(&guest.id, kind),
            namespace(&sidecar.id, kind),
            "{kind}"
        );
    }
    // The one's end is not the other's.
    guest.stop(0);
    assert_eq!(sidecar.run(&["/bin/native"]), "hello from native code\n");
    pod.remove();
}

/// As pods get their images: packed by `wasm-oci`, pushed, pulled.
fn packed_image(case: &Case) {
    case.server.pull(PACKED_IMAGE).expect("PullImage");
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &[], |config| {
        config.image = Some(image(PACKED_IMAGE));
    });
    container.expect_end(0, "Completed");
    container
        .log()
        .expect("[/guest.wasm]\n[args]\n[of the image]\n");
    pod.remove();
}

/// What the README warns of: CRI takes from an index what is for the node's own
/// platform, and nothing else.
fn index_image_is_refused(case: &Case) {
    let error = case.server.pull(INDEX_IMAGE).expect_err(INDEX_IMAGE);
    let said = error.message();
    assert!(said.contains("no match for platform in manifest"), "{said}");
}

/// Reached from the node at the pod's address.
fn serves_tcp(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &["serve", "0.0.0.0:8080"], |config| {
        config.command = vec![SOCKET.into()];
    });
    container.log().expect("listening\n");
    let mut stream = TcpStream::connect((pod.address(), 8080)).expect("the pod's address");
    stream.write_all(b"from the node").expect("a connection");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "FROM THE NODE");
    container.expect_end(0, "Completed");
    pod.remove();
}

fn talks_within_the_pod(case: &Case) {
    let pod = case.pod("a", |_| {});
    let socket =
        |name, args: &[&str]| pod.start(name, args, |config| config.command = vec![SOCKET.into()]);
    let server = socket("server", &["serve", "127.0.0.1:8080"]);
    server.log().expect("listening\n");
    let client = socket("client", &["connect", "127.0.0.1:8080"]);
    client.expect_end(0, "Completed");
    client.log().expect("connected\n");
    server.expect_end(0, "Completed");
    pod.remove();
}
