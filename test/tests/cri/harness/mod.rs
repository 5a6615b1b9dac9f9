//! Kubernetes' node without Kubernetes: containerd with CRI, a network for pods,
//! a registry for images, and a client that asks what kubelet asks.

mod case;
mod client;
mod container;
mod log;
mod pod;
mod registry;
mod server;
mod stream;

pub use case::Case;
pub use container::{Container, image};
pub use registry::{INDEX_IMAGE, NATIVE_IMAGE, PACKED_IMAGE};
pub use server::Server;
pub use stream::V4;
