//! The task API of a containerd, called as its Go clients call it.

use std::path::Path;
use std::time::{Duration, Instant};

use containerd_client::services::v1::snapshots::MountsRequest;
use containerd_client::services::v1::{
    CreateTaskRequest, DeleteTaskRequest, StartRequest, WaitRequest,
};
use containerd_client::tonic::Request;
use containerd_client::tonic::metadata::AsciiMetadataValue;
use containerd_client::types::Mount;
use containerd_client::{Client, connect};
use shim_test::containerd::Containerd;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

const SNAPSHOTTER: &str = "overlayfs";

/// A connection to containerd, and the namespace that is used.
pub struct Api {
    client: Client,
    namespace: AsciiMetadataValue,
}

/// How long each step of a task's life took, as its client sees it.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    pub create: Duration,
    pub start: Duration,
    /// From the call of Start to the first byte of output.
    pub first_byte: Duration,
    /// From the answer of Start to that of Wait.
    pub exit: Duration,
    pub delete: Duration,
    /// From the call of Create to the answer of Wait.
    pub until_exit: Duration,
}

impl Api {
    pub async fn connect(containerd: &Containerd) -> Self {
        let channel = connect(containerd.socket())
            .await
            .expect("containerd's socket");
        Self {
            client: Client::from(channel),
            namespace: containerd.namespace().parse().expect("a plain name"),
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("containerd-namespace", self.namespace.clone());
        request
    }

    /// The mounts that make up a container's root, to be had once: the Go client
    /// asks for them before it asks for the task.
    pub async fn mounts(&self, id: &str) -> Vec<Mount> {
        let request = MountsRequest {
            snapshotter: SNAPSHOTTER.into(),
            key: id.into(),
        };
        let answer = self.client.snapshots().mounts(self.request(request)).await;
        answer
            .expect("the container's snapshot")
            .into_inner()
            .mounts
    }

    /// `output`: the path of a FIFO for stdout and stderr, or empty for none.
    pub async fn create(&self, id: &str, rootfs: &[Mount], output: &Path) {
        let output = output.to_string_lossy().into_owned();
        let request = CreateTaskRequest {
            container_id: id.into(),
            rootfs: rootfs.to_vec(),
            stdout: output.clone(),
            stderr: output,
            ..Default::default()
        };
        let answer = self.client.tasks().create(self.request(request)).await;
        answer.expect("Create");
    }

    pub async fn start(&self, id: &str) {
        let request = StartRequest {
            container_id: id.into(),
            ..Default::default()
        };
        let answer = self.client.tasks().start(self.request(request)).await;
        answer.expect("Start");
    }

    /// Returns the exit status.
    pub async fn wait(&self, id: &str) -> u32 {
        let request = WaitRequest {
            container_id: id.into(),
            ..Default::default()
        };
        let answer = self.client.tasks().wait(self.request(request)).await;
        answer.expect("Wait").into_inner().exit_status
    }

    pub async fn delete(&self, id: &str) {
        let request = DeleteTaskRequest {
            container_id: id.into(),
        };
        let answer = self.client.tasks().delete(self.request(request)).await;
        answer.expect("Delete");
    }

    /// Runs a container without output whose program ends with 0.
    pub async fn run(&self, id: &str, rootfs: &[Mount]) {
        self.create(id, rootfs, Path::new("")).await;
        self.start(id).await;
        assert_eq!(self.wait(id).await, 0, "the exit status of {id}");
        self.delete(id).await;
    }

    /// Runs a container whose program writes a line and ends with 0, and
    /// follows it. `stdout` is a FIFO of its own.
    pub async fn live(&self, id: &str, rootfs: &[Mount], stdout: &Path) -> Life {
        let output = tokio::spawn(first_byte(stdout.to_owned()));
        let begin = Instant::now();
        self.create(id, rootfs, stdout).await;
        let created = Instant::now();
        let wait = self.wait(id);
        self.start(id).await;
        let started = Instant::now();
        assert_eq!(wait.await, 0, "the exit status of {id}");
        let ended = Instant::now();
        self.delete(id).await;
        let deleted = Instant::now();
        let first = output.await.expect("a reader");
        Life {
            create: created - begin,
            start: started - created,
            first_byte: first - created,
            exit: ended - started,
            delete: deleted - ended,
            until_exit: ended - begin,
        }
    }
}

/// Runs what asks a containerd.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(work)
}

/// When the first byte comes out of a FIFO; reads it to its end.
async fn first_byte(fifo: impl AsRef<Path>) -> Instant {
    let mut file = File::open(fifo).await.expect("a FIFO");
    let mut buffer = [0; 4096];
    let first = file.read(&mut buffer).await.expect("output");
    let at = Instant::now();
    assert!(first > 0, "a program without output");
    while file.read(&mut buffer).await.expect("output") > 0 {}
    at
}
