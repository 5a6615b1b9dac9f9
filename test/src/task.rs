//! The task service of a running shim, called as containerd calls it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use containerd_shim_protos::api::{
    CloseIORequest, ConnectRequest, ConnectResponse, CreateTaskRequest, CreateTaskResponse,
    DeleteRequest, DeleteResponse, Empty, KillRequest, PidsRequest, PidsResponse, ShutdownRequest,
    StartRequest, StartResponse, StateRequest, StateResponse, UpdateTaskRequest, WaitRequest,
    WaitResponse,
};
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::{Message, MessageField};
use containerd_shim_protos::shim_sync::Client;
use containerd_shim_protos::ttrpc::{Code, Error, Request};

use crate::containerd::Containerd;

const LIMIT: Duration = Duration::from_secs(60);

/// The version of the task service; the messages are the same on the wire.
pub const V2: &str = "containerd.task.v2.Task";
pub const V3: &str = "containerd.task.v3.Task";

/// What a call answers: the message, or the code and sentence of the refusal.
pub type Answer<T> = Result<T, (Code, String)>;

/// A connection to a shim.
pub struct Shim {
    client: Client,
    service: &'static str,
    /// The address, such as `unix:///run/...`.
    pub address: String,
}

// The client has no Debug of its own.
impl std::fmt::Debug for Shim {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shim")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Shim {
    /// Connects to the shim that serves this container, by the service version
    /// that containerd uses with it.
    pub fn of(containerd: &Containerd, id: &str) -> Self {
        let (address, service) = address(&containerd.bundle(id));
        Self {
            service,
            ..Self::at(&address)
        }
    }

    /// Connects to the shim that listens there, by the older service.
    pub fn at(address: &str) -> Self {
        let client = Client::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        Self {
            client,
            service: V2,
            address: address.into(),
        }
    }

    /// The same shim by the other version of the service.
    pub fn speaking(mut self, service: &'static str) -> Self {
        self.service = service;
        self
    }

    /// The version that is spoken.
    pub fn service(&self) -> &'static str {
        self.service
    }

    pub fn call<Q: Message, R: Message>(&self, method: &str, request: &Q) -> Answer<R> {
        let mut call = Request::new();
        call.set_service(self.service.into());
        call.set_method(method.into());
        call.set_timeout_nano(i64::try_from(LIMIT.as_nanos()).expect("a short time"));
        call.set_payload(
            request
                .write_to_bytes()
                .expect("a message that can be written"),
        );
        match self.client.request(call) {
            Ok(response) => {
                Ok(R::parse_from_bytes(&response.payload).expect("a message of the method's type"))
            }
            Err(Error::RpcStatus(status)) => Err((status.code(), status.message)),
            Err(error) => panic!("{method} at {}: {error}", self.address),
        }
    }

    /// The pids of the shim and of the container's init.
    pub fn connect(&self, id: &str) -> ConnectResponse {
        let request = ConnectRequest {
            id: id.into(),
            ..Default::default()
        };
        self.call("Connect", &request).expect("Connect")
    }

    /// Creates a container from a bundle; `stdio` are the paths of the FIFOs
    /// for stdin, stdout and stderr, empty for none.
    pub fn create(&self, id: &str, bundle: &Path, stdio: [&Path; 3]) -> Answer<CreateTaskResponse> {
        let [stdin, stdout, stderr] = stdio.map(|path| path.to_string_lossy().into_owned());
        let bundle = bundle.to_string_lossy().into_owned();
        let request = CreateTaskRequest {
            id: id.into(),
            bundle,
            stdin,
            stdout,
            stderr,
            ..Default::default()
        };
        self.call("Create", &request)
    }

    pub fn close_stdin(&self, id: &str) -> Answer<Empty> {
        self.call(
            "CloseIO",
            &CloseIORequest {
                id: id.into(),
                stdin: true,
                ..Default::default()
            },
        )
    }

    pub fn start(&self, id: &str) -> Answer<StartResponse> {
        self.call(
            "Start",
            &StartRequest {
                id: id.into(),
                ..Default::default()
            },
        )
    }

    pub fn state(&self, id: &str) -> Answer<StateResponse> {
        self.call(
            "State",
            &StateRequest {
                id: id.into(),
                ..Default::default()
            },
        )
    }

    pub fn pids(&self, id: &str) -> Answer<PidsResponse> {
        self.call(
            "Pids",
            &PidsRequest {
                id: id.into(),
                ..Default::default()
            },
        )
    }

    pub fn kill(&self, id: &str, signal: u32) -> Answer<Empty> {
        self.call(
            "Kill",
            &KillRequest {
                id: id.into(),
                signal,
                ..Default::default()
            },
        )
    }

    pub fn wait(&self, id: &str) -> Answer<WaitResponse> {
        self.call(
            "Wait",
            &WaitRequest {
                id: id.into(),
                ..Default::default()
            },
        )
    }

    /// New limits: `linux.resources` of the OCI runtime spec.
    pub fn update(&self, id: &str, resources: &serde_json::Value) -> Answer<Empty> {
        let resources = Any {
            type_url: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources".into(),
            value: resources.to_string().into_bytes(),
            ..Default::default()
        };
        self.call(
            "Update",
            &UpdateTaskRequest {
                id: id.into(),
                resources: MessageField::some(resources),
                ..Default::default()
            },
        )
    }

    pub fn shutdown(&self, id: &str, now: bool) -> Answer<Empty> {
        self.call(
            "Shutdown",
            &ShutdownRequest {
                id: id.into(),
                now,
                ..Default::default()
            },
        )
    }

    pub fn delete(&self, id: &str) -> Answer<DeleteResponse> {
        self.call(
            "Delete",
            &DeleteRequest {
                id: id.into(),
                ..Default::default()
            },
        )
    }
}

/// Where the shim of a bundle listens, and what it speaks. containerd 2.x keeps
/// `bootstrap.json`; before, there was only `address`.
fn address(bundle: &Path) -> (String, &'static str) {
    if let Ok(text) = fs::read_to_string(bundle.join("bootstrap.json")) {
        let params: serde_json::Value = serde_json::from_str(&text).expect("bootstrap.json");
        let service = if params["version"].as_u64() >= Some(3) {
            V3
        } else {
            V2
        };
        return (
            params["address"].as_str().expect("an address").into(),
            service,
        );
    }
    let file = bundle.join("address");
    let text =
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    (text.trim().into(), V2)
}
