//! The OCI side of a container, as pure data: reads `config.json` and says what
//! to run and what the program may see. No system calls but file reads.
#![forbid(unsafe_code)]

mod bundle;
mod entrypoint;
mod error;
mod format;
mod mountinfo;
mod mounts;
mod preopen;
mod workload;

pub use bundle::Bundle;
pub use entrypoint::candidates;
pub use error::{Error, Result};
pub use format::{Format, MAGIC_LEN};
pub use mountinfo::MountInfo;
pub use mounts::host_views;
pub use preopen::Preopen;
pub use workload::Workload;

/// `config.json` as the OCI runtime spec defines it.
pub use oci_spec::runtime as spec;
