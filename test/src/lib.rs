//! A harness that runs containers through a real, private containerd.
//!
//! [`sandbox`] puts the whole test run into namespaces of its own, so that
//! nothing can be left on the machine; [`containerd`] starts the containerds,
//! [`run`] and [`ctr`] drive them as a user does, [`task`] as containerd does,
//! [`docker`] drives a Docker Engine on top of one, and [`leak`] looks for what
//! stays behind.

pub mod artifact;
pub mod bundle;
pub mod case;
pub mod cgroup;
pub mod command;
pub mod config;
pub mod containerd;
pub mod cri;
pub mod ctr;
pub mod demo;
pub mod docker;
pub mod entry;
pub mod events;
pub mod guest_image;
pub mod image;
pub mod instance;
pub mod job_yaml;
pub mod kubernetes_api;
pub mod leak;
pub mod live;
pub mod memory;
pub mod mounts;
pub mod native_code;
pub mod network;
pub mod node;
pub mod packer;
pub mod paths;
pub mod pattern;
pub mod processes;
pub mod run;
pub mod sandbox;
pub mod shell;
pub mod soak;
pub mod stats;
pub mod suite;
pub mod task;
pub mod versions;
pub mod wait;
pub mod wanted;
