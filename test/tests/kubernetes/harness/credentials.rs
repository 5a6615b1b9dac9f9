//! Who may talk to the API server, and how it is found.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use shim_test::command;

use super::daemon;
use super::host::ADDRESS;

/// The API server's port.
pub const PORT: u16 = 6443;

/// The one user of the cluster; nobody else reaches its network.
const TOKEN: &str = "of-the-tests";

/// The files of the control plane that are made before it starts.
#[derive(Debug)]
pub struct Credentials {
    pub tokens: PathBuf,
    /// Signs the tokens of service accounts.
    pub key: PathBuf,
    /// Where the API server puts the certificate that it makes for itself.
    pub certificates: PathBuf,
    pub kubeconfig: PathBuf,
}

impl Credentials {
    pub fn make(folder: &Path) -> Self {
        let made = Self {
            tokens: folder.join("tokens.csv"),
            key: folder.join("service-accounts.key"),
            certificates: folder.join("certificates"),
            kubeconfig: folder.join("kubeconfig"),
        };
        let line = format!("{TOKEN},tests,tests,system:masters\n");
        fs::write(&made.tokens, line).expect("the tokens");
        let mut openssl = Command::new("openssl");
        openssl.args(["genrsa", "-out"]).arg(&made.key).arg("2048");
        command::output(openssl, super::kubectl::LIMIT).success();
        let config = made.config().to_string();
        fs::write(&made.kubeconfig, config).expect("the kubeconfig");
        made
    }

    /// The certificate that the API server made, which signs itself.
    pub fn certificate(&self) -> PathBuf {
        self.certificates.join("apiserver.crt")
    }

    fn config(&self) -> serde_json::Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": {
                "server": format!("https://{ADDRESS}:{PORT}"),
                "certificate-authority": self.certificate(),
            }}],
            "users": [{"name": "tests", "user": {"token": TOKEN}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            "current-context": "tests",
        })
    }

    /// `kubectl`, which finds this cluster alone.
    pub fn kubectl(&self) -> Command {
        self.command(daemon::program("kubectl"))
    }

    /// Any program that may start `kubectl`.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.kubeconfig.parent().expect("a folder"));
        command
    }
}
