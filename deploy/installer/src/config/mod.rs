//! containerd's configuration: where our runtime goes, and out of it again.

pub mod block;
pub mod document;
pub mod imports;
pub mod place;
pub mod plan;
pub mod sources;
pub mod tables;
