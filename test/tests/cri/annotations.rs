//! A pod's annotations reach the runtime, if containerd's configuration lists them.

use k8s_cri::v1::PodSandboxConfig;
use shim_test::guest_image::NATIVE;

use crate::harness::Case;

shim_test::tests! {
    any: ;
    wasm: entrypoint_of_a_pod, entrypoint_of_a_container, import_modules, only_wasm, others_stay_outside
}

const ENTRYPOINT: &str = "io.containerd.wasm.entrypoint";
const REACTOR: &str = "/job/reactor.wasm";

fn annotate(pod: &mut PodSandboxConfig, name: &str, value: &str) {
    pod.annotations.insert(name.into(), value.into());
}

fn entrypoint_of_a_pod(case: &Case) {
    let pod = case.pod("a", |pod| annotate(pod, ENTRYPOINT, "greet"));
    let container = pod.start("main", &[], |config| config.command = vec![REACTOR.into()]);
    container.expect_end(0, "Completed");
    container.log().expect("initialized\n");
    pod.remove();
}

/// Kubernetes has none for a container; other clients of CRI do.
fn entrypoint_of_a_container(case: &Case) {
    let pod = case.pod("a", |_| {});
    let container = pod.start("main", &[], |config| {
        config.command = vec![REACTOR.into()];
        config.annotations.insert(ENTRYPOINT.into(), "greet".into());
    });
    container.expect_end(0, "Completed");
    container.log().expect("initialized\n");
    pod.remove();
}

fn import_modules(case: &Case) {
    let pod = case.pod("a", |pod| {
        let modules = "math=/imports/math.wasm,greeter=/imports/greeter.wasm";
        annotate(pod, "io.containerd.wasm.import-modules", modules);
    });
    let container = pod.start("main", &[], |config| {
        config.command = vec!["/imports/app.wasm".into()];
    });
    container.expect_end(0, "Completed");
    container
        .log()
        .expect("math\ngreeter 100\napp 103\nhello 142\n");
    pod.remove();
}

/// crun's annotations: the sandbox's program is native all the same.
fn only_wasm(case: &Case) {
    let annotations = [
        ("run.oci.handler", "wasm"),
        ("module.wasm.image/variant", "compat"),
    ];
    for (name, value) in annotations {
        let pod = case.pod(value, |pod| annotate(pod, name, value));
        pod.start("wasm", &["hello"], |_| {})
            .expect_end(0, "Completed");
        let native = pod.create("native", &[], |config| config.command = vec![NATIVE.into()]);
        let error = native.start().expect_err("a native program");
        assert!(
            error.message().contains(&format!("{name}={value}")),
            "{error}"
        );
        pod.remove();
    }
}

fn others_stay_outside(case: &Case) {
    let pod = case.pod("a", |pod| {
        annotate(pod, "example.com/other", "not listed");
        annotate(pod, "io.containerd.wasm.aot", "off");
    });
    let container = pod.start("main", &["sleep"], |_| {});
    let bundle = case.server.containerd.bundle(&container.id);
    let config = std::fs::read_to_string(bundle.join("config.json")).expect("config.json");
    assert!(config.contains("io.containerd.wasm.aot"), "{config}");
    assert!(!config.contains("example.com/other"), "{config}");
    pod.remove();
}
