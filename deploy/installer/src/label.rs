//! The node's label, by which the RuntimeClass finds nodes: one request to the
//! Kubernetes API, as the pod's service account.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::error::{At, Error, Result};

/// Also in deploy/kustomization.yaml.
pub const LABEL: &str = "containerd-shim-wasm/installed";

/// Where a pod finds its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

const TIMEOUT: Duration = Duration::from_secs(30);

/// The API as a pod is told of it.
#[derive(Debug)]
pub struct Api {
    url: String,
    node: String,
    token: String,
    authority: Vec<Certificate<'static>>,
}

impl Api {
    /// `None` outside of a cluster.
    pub fn of_pod(node: Option<&str>) -> Result<Option<Self>> {
        let host = std::env::var("KUBERNETES_SERVICE_HOST").unwrap_or_default();
        let Some(node) = node.filter(|_| !host.is_empty()) else {
            return Ok(None);
        };
        let port = std::env::var("KUBERNETES_SERVICE_PORT").unwrap_or_else(|_| "443".into());
        // An address of IP version 6 has brackets in a URL.
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host
        };
        Self::new(&format!("https://{host}:{port}"), node, Path::new(ACCOUNT)).map(Some)
    }

    pub fn new(url: &str, node: &str, account: &Path) -> Result<Self> {
        let read = |name| {
            let path = account.join(name);
            fs::read_to_string(&path).at("can't read", &path)
        };
        let mut authority = Vec::new();
        for item in parse_pem(read("ca.crt")?.as_bytes()) {
            if let Ok(PemItem::Certificate(certificate)) = item {
                authority.push(certificate);
            }
        }
        Ok(Self {
            url: url.into(),
            node: node.into(),
            token: read("token")?.trim().into(),
            authority,
        })
    }

    /// Sets the label, or takes it away.
    pub fn label(&self, installed: bool) -> Result<()> {
        let value = if installed {
            json!("true")
        } else {
            Value::Null
        };
        let patch = json!({"metadata": {"labels": {LABEL: value}}});
        let provider = rustls::crypto::ring::default_provider();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&self.authority))
            .unversioned_rustls_crypto_provider(Arc::new(provider))
            .build();
        let agent: Agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        let failed = |reason: String| Error::Api {
            node: self.node.clone(),
            reason,
        };
        let mut response = agent
            .patch(format!("{}/api/v1/nodes/{}", self.url, self.node))
            .header("authorization", format!("Bearer {}", self.token))
            .content_type("application/merge-patch+json")
            .send(patch.to_string())
            .map_err(|error| failed(error.to_string()))?;
        if response.status().is_success() {
            return Ok(());
        }
        // The API explains itself in a Status object.
        let body = response.body_mut().read_to_string().unwrap_or_default();
        let status: Value = serde_json::from_str(&body).unwrap_or_default();
        let message = status["message"].as_str().unwrap_or_default();
        Err(failed(format!("{} {message}", response.status())))
    }
}
