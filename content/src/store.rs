use hyper::Uri;
use hyper::http::uri::PathAndQuery;
use prost::Message;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::messages::{
    Descriptor, GetContainerRequest, GetContainerResponse, GetImageRequest, GetImageResponse,
    ReadContentRequest, ReadContentResponse,
};

/// The most bytes of one piece of content that containerd sends at once.
const MAX_PIECE: usize = 16 << 20;

/// What one namespace of a containerd has.
pub struct Store {
    client: Grpc<Connection>,
    namespace: MetadataValue<Ascii>,
}

impl Store {
    /// `address`: the path of containerd's socket.
    pub async fn connect(address: &str, namespace: &str) -> Result<Self> {
        let connect = |reason: String| Error::Connect {
            address: address.into(),
            reason,
        };
        let namespace = namespace
            .parse()
            .map_err(|error| connect(format!("namespace {namespace:?}: {error}")))?;
        let connection = Connection::open(address).await.map_err(connect)?;
        // A Unix socket has no host; HTTP/2 wants one all the same.
        let client = Grpc::with_origin(connection, Uri::from_static("http://containerd"))
            .max_decoding_message_size(MAX_PIECE);
        Ok(Self { client, namespace })
    }

    /// The name of a container's image; `None` if it was made without one, or
    /// is not known here.
    pub async fn image_of(&mut self, id: &str) -> Result<Option<String>> {
        let request = GetContainerRequest { id: id.into() };
        let path = "/containerd.services.containers.v1.Containers/Get";
        let response: GetContainerResponse = match self.call(path, request).await {
            Ok(response) => response,
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            Err(status) => return Err(failed(format!("which image {id} has"), status)),
        };
        let name = response.container.unwrap_or_default().image;
        Ok((!name.is_empty()).then_some(name))
    }

    /// What an image's name stands for.
    pub async fn target_of(&mut self, image: &str) -> Result<Descriptor> {
        let request = GetImageRequest { name: image.into() };
        let path = "/containerd.services.images.v1.Images/Get";
        let response: GetImageResponse = match self.call(path, request).await {
            Ok(response) => response,
            Err(status) if status.code() == Code::NotFound => {
                return Err(Error::NoImage(image.into()));
            }
            Err(status) => return Err(failed(format!("what image {image} is"), status)),
        };
        let target = response.image.and_then(|image| image.target);
        target.ok_or_else(|| Error::NoImage(image.into()))
    }

    /// Begins to read content; each piece of it is a message.
    pub async fn read(
        &mut self,
        digest: &str,
    ) -> std::result::Result<Streaming<ReadContentResponse>, Status> {
        let request = ReadContentRequest {
            digest: digest.into(),
        };
        self.ready().await?;
        let path = PathAndQuery::from_static("/containerd.services.content.v1.Content/Read");
        let codec = ProstCodec::default();
        let request = self.request(request);
        let response = self.client.server_streaming(request, path, codec).await?;
        Ok(response.into_inner())
    }

    async fn call<Q, A>(&mut self, path: &'static str, request: Q) -> std::result::Result<A, Status>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        self.ready().await?;
        let path = PathAndQuery::from_static(path);
        let codec = ProstCodec::<Q, A>::default();
        let request = self.request(request);
        let response = self.client.unary(request, path, codec).await?;
        Ok(response.into_inner())
    }

    async fn ready(&mut self) -> std::result::Result<(), Status> {
        let ready = self.client.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let namespace = self.namespace.clone();
        request
            .metadata_mut()
            .insert("containerd-namespace", namespace);
        request
    }
}

fn failed(what: String, status: Status) -> Error {
    let status = Box::new(status);
    Error::Call { what, status }
}
