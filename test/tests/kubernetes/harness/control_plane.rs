//! etcd, kube-apiserver, kube-scheduler, kube-controller-manager and kube-proxy.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use shim_test::{command, paths, wait};

use super::credentials::{Credentials, PORT};
use super::daemon::{self, Daemon};
use super::host::ADDRESS;

/// More than a start takes on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(120);
const ETCD: &str = "http://127.0.0.1:2379";
const SERVICES: &str = "10.213.80.0/24";

/// A running control plane. Dropping it ends its programs, users of others first.
#[derive(Debug)]
pub struct ControlPlane {
    _users: Vec<Daemon>,
    _apiserver: Daemon,
    _etcd: Daemon,
    pub credentials: Credentials,
}

impl ControlPlane {
    /// Starts all, and waits until the API server is ready.
    pub fn start(folder: &Path) -> Self {
        let credentials = Credentials::make(folder);
        let etcd = etcd(folder);
        let apiserver = apiserver(&credentials, folder);
        wait::until_clean(START_LIMIT, || {
            not_ready(&credentials).map(|problem| {
                let log = fs::read_to_string(apiserver.log()).unwrap_or_default();
                format!("an API server that is not ready: {problem}\n{log}")
            })
        });
        let users = users(&credentials, folder);
        Self {
            _users: users,
            _apiserver: apiserver,
            _etcd: etcd,
            credentials,
        }
    }
}

/// What the API server lacks; kubectl is asked when there is somebody to ask.
fn not_ready(credentials: &Credentials) -> Option<String> {
    if let Err(error) = TcpStream::connect((ADDRESS, PORT)) {
        return Some(error.to_string());
    }
    let mut kubectl = credentials.kubectl();
    kubectl.args(["get", "--raw", "/readyz"]);
    let output = command::output(kubectl, START_LIMIT);
    (output.code != 0).then(|| output.describe())
}

fn etcd(folder: &Path) -> Daemon {
    let program = paths::workspace().join("target/parts/etcd/usr/bin/etcd");
    assert!(
        program.exists(),
        "{} is missing: run test/kubernetes/build.sh",
        program.display()
    );
    let args = [
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={ETCD}"),
        format!("--advertise-client-urls={ETCD}"),
        "--listen-peer-urls=http://127.0.0.1:2380".into(),
        // Its data goes with the test.
        "--unsafe-no-fsync".into(),
        "--log-level=warn".into(),
    ];
    Daemon::start("etcd", &program, &args, folder)
}

fn apiserver(credentials: &Credentials, folder: &Path) -> Daemon {
    let key = credentials.key.display();
    let args = [
        format!("--etcd-servers={ETCD}"),
        format!("--bind-address={ADDRESS}"),
        format!("--advertise-address={ADDRESS}"),
        format!("--secure-port={PORT}"),
        format!("--cert-dir={}", credentials.certificates.display()),
        format!("--token-auth-file={}", credentials.tokens.display()),
        "--authorization-mode=RBAC".into(),
        // As kubeadm has it: the installer is privileged.
        "--allow-privileged=true".into(),
        format!("--service-cluster-ip-range={SERVICES}"),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={key}"),
        format!("--service-account-signing-key-file={key}"),
        "--kubelet-preferred-address-types=InternalIP".into(),
    ];
    let program = daemon::program("kube-apiserver");
    Daemon::start("kube-apiserver", &program, &args, folder)
}

fn users(credentials: &Credentials, folder: &Path) -> Vec<Daemon> {
    let kubeconfig = format!("--kubeconfig={}", credentials.kubeconfig.display());
    let start = |name: &'static str, more: &[String]| {
        let args = [std::slice::from_ref(&kubeconfig), more].concat();
        Daemon::start(name, &daemon::program(name), &args, folder)
    };
    let alone = "--leader-elect=false".to_owned();
    // They serve only their own figures.
    let closed = "--secure-port=0".to_owned();
    let controllers = [
        alone.clone(),
        closed.clone(),
        format!(
            "--service-account-private-key-file={}",
            credentials.key.display()
        ),
        format!("--root-ca-file={}", credentials.certificate().display()),
    ];
    vec![
        start("kube-scheduler", &[alone, closed]),
        start("kube-controller-manager", &controllers),
        start("kube-proxy", &proxy()),
    ]
}

/// Its rules are in the suite's own network; limits of connections are the machine's.
fn proxy() -> Vec<String> {
    [
        "--hostname-override=node",
        "--proxy-mode=iptables",
        "--conntrack-max-per-core=0",
        "--conntrack-min=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
        "--detect-local-mode=ClusterCIDR",
        "--cluster-cidr=10.213.78.0/24",
    ]
    .map(Into::into)
    .into()
}
