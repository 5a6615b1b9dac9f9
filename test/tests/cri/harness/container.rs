//! A container of a pod.

use std::time::Duration;

use k8s_cri::v1::{
    AttachRequest, ContainerConfig, ContainerMetadata, ContainerState, ContainerStats,
    ContainerStatsRequest, ContainerStatus, ContainerStatusRequest, CreateContainerRequest,
    ExecRequest, ExecSyncRequest, ExecSyncResponse, ImageSpec, LinuxContainerConfig,
    LinuxContainerResources, LinuxContainerSecurityContext, RemoveContainerRequest,
    ReopenContainerLogRequest, StartContainerRequest, StopContainerRequest,
    UpdateContainerResourcesRequest,
};
use shim_test::wait;

use super::client::Result;
use super::log::Log;
use super::pod::{Pod, namespaces};
use super::registry::GUEST_IMAGE;
use super::stream::Stream;

/// More than any container here takes to end on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Container<'a> {
    pod: &'a Pod<'a>,
    pub id: String,
    config: ContainerConfig,
}

impl<'a> Container<'a> {
    pub fn create(
        pod: &'a Pod<'a>,
        name: &str,
        args: &[&str],
        edit: impl FnOnce(&mut ContainerConfig),
    ) -> Result<Self> {
        let mut config = config(name, args);
        edit(&mut config);
        let request = CreateContainerRequest {
            pod_sandbox_id: pod.id.clone(),
            config: Some(config.clone()),
            sandbox_config: Some(pod.config.clone()),
        };
        let client = pod.case.client();
        let answer = client.call(async |cri| cri.create_container(request).await)?;
        pod.case.remember(&answer.container_id);
        Ok(Self {
            pod,
            id: answer.container_id,
            config,
        })
    }

    pub fn start(&self) -> Result<()> {
        let request = StartContainerRequest {
            container_id: self.id.clone(),
        };
        let client = self.pod.case.client();
        client.call(async |cri| cri.start_container(request).await)?;
        Ok(())
    }

    pub fn status(&self) -> ContainerStatus {
        let request = ContainerStatusRequest {
            container_id: self.id.clone(),
            verbose: false,
        };
        let client = self.pod.case.client();
        let answer = client.call(async |cri| cri.container_status(request).await);
        answer.expect("ContainerStatus").status.expect("a status")
    }

    /// Waits for its end. CRI tells nobody of it before containerd 1.7, so
    /// this asks again and again, as kubelet does.
    pub fn wait(&self) -> ContainerStatus {
        let mut status = self.status();
        wait::until_clean(LIMIT, || {
            status = self.status();
            (status.state() != ContainerState::ContainerExited)
                .then(|| format!("a container in state {:?}", status.state()))
        });
        status
    }

    /// Waits for its end, and checks code and reason.
    pub fn expect_end(&self, code: i32, reason: &str) -> ContainerStatus {
        let status = self.wait();
        let found = (status.exit_code, status.reason.as_str());
        assert_eq!(found, (code, reason), "{status:?}\n{:?}", self.log().text());
        assert!(status.finished_at >= status.created_at, "{status:?}");
        status
    }

    pub fn log(&self) -> Log {
        Log::new(self.pod.logs().join(&self.config.log_path))
    }

    /// Stops it, with so many seconds before it is killed.
    pub fn stop(&self, grace: i64) {
        let request = StopContainerRequest {
            container_id: self.id.clone(),
            timeout: grace,
        };
        let client = self.pod.case.client();
        let stopped = client.call(async |cri| cri.stop_container(request).await);
        stopped.expect("StopContainer");
    }

    pub fn remove(self) {
        let request = RemoveContainerRequest {
            container_id: self.id.clone(),
        };
        let client = self.pod.case.client();
        let removed = client.call(async |cri| cri.remove_container(request).await);
        removed.expect("RemoveContainer");
    }

    /// A program to its end, with so many seconds for it; 0: any time.
    pub fn exec_sync(&self, line: &[&str], timeout: i64) -> Result<ExecSyncResponse> {
        let request = ExecSyncRequest {
            container_id: self.id.clone(),
            cmd: line.iter().map(|&word| word.into()).collect(),
            timeout,
        };
        let client = self.pod.case.client();
        client.call(async |cri| cri.exec_sync(request).await)
    }

    /// What a program says that must succeed.
    pub fn run(&self, line: &[&str]) -> String {
        let answer = self.exec_sync(line, 0);
        let answer = answer.unwrap_or_else(|error| panic!("ExecSync {line:?}: {error}"));
        let stderr = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert_eq!(answer.exit_code, 0, "{line:?}: {stderr}");
        String::from_utf8(answer.stdout).expect("text")
    }

    /// A program with streams.
    pub fn exec(&self, line: &[&str], tty: bool, protocol: &'static str) -> Stream<'a> {
        let request = ExecRequest {
            container_id: self.id.clone(),
            cmd: line.iter().map(|&word| word.into()).collect(),
            tty,
            stdin: true,
            stdout: true,
            stderr: !tty,
        };
        let client = self.pod.case.client();
        let answer = client.call(async |cri| cri.exec(request).await);
        Stream::open(client, &answer.expect("Exec").url, protocol)
    }

    /// The streams of its own program.
    pub fn attach(&self, protocol: &'static str) -> Stream<'a> {
        let tty = self.config.tty;
        let request = AttachRequest {
            container_id: self.id.clone(),
            stdin: true,
            tty,
            stdout: true,
            stderr: !tty,
        };
        let client = self.pod.case.client();
        let answer = client.call(async |cri| cri.attach(request).await);
        Stream::open(client, &answer.expect("Attach").url, protocol)
    }

    pub fn stats(&self) -> ContainerStats {
        let request = ContainerStatsRequest {
            container_id: self.id.clone(),
        };
        let client = self.pod.case.client();
        let answer = client.call(async |cri| cri.container_stats(request).await);
        answer.expect("ContainerStats").stats.expect("stats")
    }

    pub fn update(&self, resources: LinuxContainerResources) {
        let request = UpdateContainerResourcesRequest {
            container_id: self.id.clone(),
            linux: Some(resources),
            ..Default::default()
        };
        let client = self.pod.case.client();
        let updated = client.call(async |cri| cri.update_container_resources(request).await);
        updated.expect("UpdateContainerResources");
    }

    pub fn reopen_log(&self) {
        let request = ReopenContainerLogRequest {
            container_id: self.id.clone(),
        };
        let client = self.pod.case.client();
        let reopened = client.call(async |cri| cri.reopen_container_log(request).await);
        reopened.expect("ReopenContainerLog");
    }

    /// Its cgroup, from a hierarchy's root.
    pub fn cgroup(&self) -> String {
        format!("{}/{}", self.pod.cgroup(), self.id)
    }
}

fn config(name: &str, args: &[&str]) -> ContainerConfig {
    ContainerConfig {
        metadata: Some(ContainerMetadata {
            name: name.into(),
            attempt: 0,
        }),
        image: Some(image(GUEST_IMAGE)),
        args: args.iter().map(|&arg| arg.into()).collect(),
        log_path: format!("{name}.log"),
        linux: Some(LinuxContainerConfig {
            resources: Some(LinuxContainerResources::default()),
            security_context: Some(LinuxContainerSecurityContext {
                namespace_options: Some(namespaces()),
                ..Default::default()
            }),
        }),
        ..Default::default()
    }
}

pub fn image(name: &str) -> ImageSpec {
    ImageSpec {
        image: name.into(),
        ..Default::default()
    }
}
