//! CRI's two services of one containerd, for callers that block.

use std::path::Path;
use std::time::Duration;

use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

/// More than any call here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

pub type Result<T> = std::result::Result<T, Status>;
pub type RuntimeService = RuntimeServiceClient<Channel>;
pub type ImageService = ImageServiceClient<Channel>;

/// A connection to containerd.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    channel: Channel,
}

impl Client {
    pub fn connect(socket: &Path) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for tonic");
        let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display()))
            .expect("the socket's address")
            .timeout(LIMIT);
        let channel = runtime.block_on(endpoint.connect());
        let channel = channel.unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
        Self { runtime, channel }
    }

    /// One call of the runtime service.
    pub fn call<T>(
        &self,
        call: impl AsyncFnOnce(&mut RuntimeService) -> Result<Response<T>>,
    ) -> Result<T> {
        let mut service = RuntimeServiceClient::new(self.channel.clone());
        self.wait(call(&mut service)).map(Response::into_inner)
    }

    /// One call of the image service.
    pub fn image<T>(
        &self,
        call: impl AsyncFnOnce(&mut ImageService) -> Result<Response<T>>,
    ) -> Result<T> {
        let mut service = ImageServiceClient::new(self.channel.clone());
        self.wait(call(&mut service)).map(Response::into_inner)
    }

    /// Waits for what happens on the network.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}
