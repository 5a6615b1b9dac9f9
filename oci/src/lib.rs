//! The OCI side of a container: reads `config.json` and says what to run and what
//! the program may see. No system calls but those that look at files.
#![forbid(unsafe_code)]

mod annotations;
pub mod artifact;
mod bundle;
mod entrypoint;
mod error;
mod files;
mod format;
mod imports;
mod memory;
mod mountinfo;
mod mounts;
mod preopen;
mod sections;
mod workload;

pub use annotations::{IMPORT_MODULES, Wishes};
pub use bundle::Bundle;
pub use entrypoint::{Candidate, START};
pub use error::{Error, Result};
pub use files::{Files, again};
pub use format::{Format, MAGIC_LEN};
pub use imports::{ImportModule, link_order};
pub use memory::{Budget, RUNTIME as RUNTIME_MEMORY};
pub use mountinfo::MountInfo;
pub use mounts::{host_views, is_bind, is_host_view};
pub use preopen::Preopen;
pub use sections::Sections;
pub use workload::Workload;

/// `config.json` as the OCI runtime spec defines it.
pub use oci_spec::runtime as spec;
