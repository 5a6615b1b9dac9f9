use std::path::PathBuf;

pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong in the shim. The texts reach the person who typed the
/// command: one sentence each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}; this program is called by containerd")]
    Usage(String),
    #[error("task {0} not found")]
    NoTask(String),
    #[error("process {exec} of task {id} not found")]
    NoProcess { id: String, exec: String },
    #[error("task {0} exists already")]
    Exists(String),
    #[error("task {id} {what}")]
    WrongState { id: String, what: &'static str },
    #[error("process of task {0} not found: it has exited")]
    Exited(String),
    #[error("{0} is not implemented in this release of containerd-shim-wasm-v1")]
    Unimplemented(&'static str),
    #[error("{0}")]
    Invalid(String),
    #[error("{what} {path}: {source}")]
    Path {
        what: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{what}: {source}")]
    System {
        what: &'static str,
        source: std::io::Error,
    },
    #[error("wasm-zygote: {0}")]
    Zygote(String),
    #[error("a bug in containerd-shim-wasm-v1: {0}")]
    Bug(String),
    /// Said by the launcher or the guest's side as a whole sentence.
    #[error("{0}")]
    Launch(String),
    #[error(transparent)]
    Ipc(#[from] ipc::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Oci(#[from] oci::Error),
    #[error("containerd's message can't be understood: {0}")]
    Protobuf(#[from] containerd_shim_protos::protobuf::Error),
    #[error("ttrpc: {0}")]
    Ttrpc(#[from] containerd_shim_protos::ttrpc::Error),
}

/// Says what was being done when a system call failed.
pub trait Context<T> {
    fn context(self, what: &'static str) -> Result<T>;
    fn at(self, what: &'static str, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: &'static str) -> Result<T> {
        self.map_err(|source| Error::System {
            what,
            source: source.into(),
        })
    }

    fn at(self, what: &'static str, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|source| Error::Path {
            what,
            path: path.into(),
            source: source.into(),
        })
    }
}
