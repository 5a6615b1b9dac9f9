//! Kubernetes on this machine: a control plane and one node, in the suite's own
//! namespaces, with a containerd of the version under test.

mod by_hand;
mod case;
mod cluster;
mod control_plane;
mod credentials;
mod daemon;
mod host;
mod images;
mod kubectl;
mod manifest;
mod node;
pub mod readme;
mod systemd;
mod turns;

pub use by_hand::ReadyByHand;
pub use case::Case;
pub use cluster::Cluster;
pub use host::prepare;
pub use manifest::{job, pod, pod_spec};
pub use systemd::Systemd;
