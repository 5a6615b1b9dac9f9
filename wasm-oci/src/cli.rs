//! The command line: what there is to say, and the forms it is said in.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use oci_spec::distribution::Reference;

use crate::pack::arguments::{Add, Import, Pair, Platform, reference};

/// Packs WebAssembly modules into OCI images, and says what is in an image.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Pack(Box<Pack>),
    Inspect(Inspect),
    Precompile(Precompile),
    #[command(subcommand)]
    Cache(Cache),
}

/// Pack a module into an archive that `ctr images import`, `docker load` and
/// skopeo take.
///
/// The same inputs make the same bytes, whoever packs them and when; the
/// creation date is left out, or taken from SOURCE_DATE_EPOCH. Files are root's,
/// with mode 0644, or 0755 for those that their owner may execute; folders have
/// 0755, or 1777 where everybody may write.
#[derive(Debug, Args)]
#[command(after_long_help = HINTS)]
pub struct Pack {
    /// The module to run, built for WASI preview 1; it comes to lie at the root, under its name
    #[arg(value_name = "APP.WASM")]
    pub module: PathBuf,

    /// The archive to write; `-` is standard output
    #[arg(short, long, value_name = "APP.TAR")]
    pub output: PathBuf,

    /// The image's name, as in `docker tag` [default: localhost/APP:latest]
    #[arg(long, value_name = "NAME[:TAG]", value_parser = reference)]
    pub tag: Option<Reference>,

    /// What the image is for, such as wasip1/wasm or linux/amd64 [default: wasi/wasm]
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<Platform>,

    /// The exported function to begin at, in place of _start: Entrypoint is /APP.WASM#FUNCTION
    #[arg(long, value_name = "FUNCTION")]
    pub entrypoint: Option<String>,

    /// An environment variable; like --label, --add and --import it can be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<Pair>,

    /// A label of the image
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<Pair>,

    /// A file, or a folder with all that is in it, and its absolute path in the image; symbolic
    /// links in a folder are kept as they are
    #[arg(long, value_name = "HOST:GUEST")]
    pub add: Vec<Add>,

    /// A module that others import from by this name, put at /usr/lib/wasm/NAME.wasm
    #[arg(long, value_name = "NAME=MOD.WASM")]
    pub import: Vec<Import>,

    /// The directory to start in
    #[arg(long, value_name = "PATH", value_parser = crate::pack::arguments::guest_path)]
    pub workdir: Option<PathBuf>,

    /// The user to run as, by number: containers of Wasm seldom have an /etc/passwd
    #[arg(long, value_name = "UID[:GID]")]
    pub user: Option<String>,

    /// Make an OCI artifact instead: the modules themselves as layers, without a file system
    #[arg(long)]
    pub artifact: bool,

    /// The program is one for Linux, statically linked, and no module: for tools that come along
    /// with modules, such as a sidecar; the platform is linux/ and this machine's
    #[arg(long, conflicts_with_all = ["artifact", "entrypoint", "import"])]
    pub native: bool,

    /// The arguments that the program gets when a container is given none (Cmd)
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

const HINTS: &str = "\
Import modules: the image says in its label and annotation io.containerd.wasm.import-modules which
modules it has, but containerd gives neither to the runtime. So each container needs the annotation:
of `ctr run` as --annotation, of Kubernetes in the pod's metadata. After packing it is printed.

Exit codes: 0 packed, 1 something is wrong with a file, 2 something is wrong with the command line.";

/// Say what is in an archive, and what is wrong with it.
///
/// Takes what `wasm-oci pack`, `docker save`, `ctr images export` and `docker
/// buildx build --output type=oci` (or type=docker) write. All digests are
/// checked. The exit code is 1 if something is wrong.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The archive
    #[arg(value_name = "APP.TAR")]
    pub archive: PathBuf,

    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Make the native code of modules before their first start on this node.
///
/// Takes modules, and archives as `inspect` does, of which all modules are
/// compiled. It is the shim's own compiler, as confined as ever, and the code
/// comes to lie where the shim looks for it. Takes minutes for the largest
/// modules; what is there already takes no time. Needs root.
#[derive(Debug, Args)]
pub struct Precompile {
    /// A module, or an archive of an image
    #[arg(required = true, value_name = "APP.WASM|APP.TAR")]
    pub files: Vec<PathBuf>,
}

/// Show and clear this node's native code.
///
/// Modules are named by the hash of their content (BLAKE3), as `precompile`
/// prints it. Nothing that runs is disturbed, and what is missing is made anew
/// when it is needed. Needs root.
#[derive(Debug, Subcommand)]
pub enum Cache {
    /// List what is there
    Ls {
        /// Print JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Remove the code of these modules, or the note that none can be made
    Rm {
        /// The hash of a module, or the beginning of it
        #[arg(required_unless_present = "all", value_name = "HASH")]
        modules: Vec<String>,
        /// Remove all
        #[arg(long, conflicts_with = "modules")]
        all: bool,
    },
    /// Remove what this node can't use: code for another WasmEdge or CPU, and
    /// what compilers have left that were ended
    Prune {
        /// And what was not used for so many days
        #[arg(long, value_name = "DAYS")]
        unused_days: Option<u64>,
    },
}
