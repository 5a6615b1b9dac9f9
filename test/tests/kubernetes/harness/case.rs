//! One test: its namespace, its folders, and their end.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use shim_test::command::Output;
use shim_test::instance;
use shim_test::versions::Version;

use super::cluster::Cluster;
use super::kubectl::Kubectl;

/// What a test is given. All that it makes is in a namespace of its name.
#[derive(Debug)]
pub struct Case {
    pub cluster: Arc<Cluster>,
    namespace: String,
}

impl Case {
    pub fn kubectl(&self) -> Kubectl<'_> {
        self.cluster.kubectl(&self.namespace)
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub fn apply(&self, object: &Value) {
        self.kubectl().apply(object);
    }

    /// Waits for something of an object, and says what it is like if that does not come.
    pub fn wait(&self, what: &str, condition: &str) {
        let output = self.kubectl().wait(what, condition);
        assert_eq!(
            output.code,
            0,
            "{}\n{}",
            output.describe(),
            self.kubectl().call(&["describe", "pods"]).stdout_text()
        );
    }

    /// Waits until a pod is in this phase, such as `Succeeded`.
    pub fn wait_for_phase(&self, pod: &str, phase: &str) {
        let condition = format!("jsonpath={{.status.phase}}={phase}");
        self.wait(&format!("pod/{pod}"), &condition);
    }

    /// The status of a pod's container.
    pub fn status(&self, pod: &str, container: &str) -> Value {
        let pod = self.kubectl().get(&format!("pod/{pod}"));
        let lists = ["containerStatuses", "initContainerStatuses"];
        let all = lists
            .iter()
            .filter_map(|list| pod["status"][*list].as_array());
        let mut found = all
            .flatten()
            .filter(|status| status["name"] == *container)
            .cloned();
        found
            .next()
            .unwrap_or_else(|| panic!("no status of {container}: {pod}"))
    }

    /// Checks how the container `main` of a pod ended.
    pub fn expect_end(&self, pod: &str, code: i32, reason: &str) {
        let status = self.status(pod, "main");
        let end = &status["state"]["terminated"];
        assert_eq!(
            (end["exitCode"].as_i64(), end["reason"].as_str()),
            (Some(code.into()), Some(reason)),
            "{status}"
        );
    }

    /// `kubectl logs`.
    pub fn logs(&self, what: &str) -> String {
        self.kubectl().call(&["logs", what]).success()
    }

    /// `kubectl exec POD -- LINE`.
    pub fn exec(&self, pod: &str, line: &[&str]) -> Output {
        let args = [&["exec", pod, "--"], line].concat();
        self.kubectl().call(&args)
    }

    /// A new folder of this test on the node.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folders().join(name);
        fs::create_dir_all(&folder).expect("a folder in the sandbox's /run");
        folder
    }

    fn folders(&self) -> PathBuf {
        self.cluster.folder.join("files").join(&self.namespace)
    }

    /// Deletes all that makes pods, and the pods, and waits until they are gone.
    pub fn delete_all(&self) -> Output {
        let kinds = "deployments,jobs,services,pods";
        self.kubectl()
            .call(&["delete", kinds, "--all", "--timeout=100s"])
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        self.cluster.turns.leave();
    }
}

impl instance::Server for Cluster {
    type Version = Version;
    type Case = Case;

    fn start(version: &Version) -> Self {
        Self::start(version)
    }

    fn name(version: &Version) -> &str {
        &version.name
    }

    fn group(&self) -> &str {
        &self.group
    }

    fn case(self: &Arc<Self>, test: &str) -> Case {
        self.turns.enter();
        let case = Case {
            cluster: Arc::clone(self),
            namespace: test.replace('_', "-"),
        };
        let kubectl = case.kubectl();
        kubectl
            .call(&["create", "namespace", &case.namespace])
            .success();
        // Pods are refused, or wait, before these are there.
        for made in ["serviceaccount/default", "configmap/kube-root-ca.crt"] {
            kubectl.wait(made, "create").success();
        }
        case
    }
}

impl instance::Case for Case {
    /// kubelet takes a pod off the list when its containers, mounts and cgroups are gone.
    fn assert_clean(&self) {
        self.delete_all().success();
    }

    fn remove_all(&self) {
        self.delete_all();
    }

    fn log(&self) -> String {
        let events = ["get", "events", "--sort-by=.lastTimestamp"];
        self.kubectl().call(&events).stdout_text() + &self.cluster.log(&self.namespace)
    }

    fn remove_folders(&self) {
        // Not there when the test made none.
        drop(fs::remove_dir_all(self.folders()));
    }
}
