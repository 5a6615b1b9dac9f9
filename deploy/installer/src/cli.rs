//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::layout::Kind;

/// Installs containerd-shim-wasm-v1 on a node of a Kubernetes cluster, so that pods
/// with a RuntimeClass of handler `wasm` run WebAssembly.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install or upgrade; a second time nothing is done
    Install(Change),
    /// Install, label the node, and wait for SIGTERM: what the DaemonSet runs
    Run(Change),
    /// Remove all of it, and the label, and restart containerd if it had been told
    Uninstall(Change),
    /// Uninstall, and wait for SIGTERM: what the DaemonSet in deploy/uninstall runs
    RunUninstall(Change),
    /// Say what is wrong with this node, and how to mend it
    Doctor(Node),
    /// Fail until `run` or `run-uninstall` in this pod has done its work: for probes
    Ready,
    /// Run a program of the node
    #[command(hide = true)]
    OnNode {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        line: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct Node {
    /// Where the node's root is mounted
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    pub host_root: PathBuf,

    /// Whose containerd it is [default: found out]
    #[arg(long)]
    pub kind: Option<Kind>,

    /// The file on the node that containerd reads [default: by the kind]
    #[arg(long, value_name = "CONFIG.TOML")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    pub node: Node,

    /// The built tree to install [default: the one that this program lies in]
    #[arg(long, value_name = "FOLDER")]
    pub bundle: Option<PathBuf>,

    /// Change the configuration, but leave it to you to restart containerd
    #[arg(long)]
    pub no_restart: bool,

    /// Uninstall although containers of this runtime are running
    #[arg(long)]
    pub force: bool,

    /// The node's name in Kubernetes, to label it [default: no label]
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    pub node_name: Option<String>,
}
