use std::path::PathBuf;

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether there is no bundle at all.
    pub fn is_not_found(&self) -> bool {
        use oci_spec::OciSpecError;
        let Self::Config {
            source: OciSpecError::Io(error),
            ..
        } = self
        else {
            return false;
        };
        error.kind() == std::io::ErrorKind::NotFound
    }
}

/// What can be wrong with a bundle before anything of it has run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't read {path}: {source}")]
    Config {
        path: PathBuf,
        source: oci_spec::OciSpecError,
    },
    #[error("config.json has no `{0}`; the OCI runtime spec requires it")]
    Missing(&'static str),
    #[error("process.args is empty: name the module or program to run as the first argument")]
    NoArgs,
    #[error("{what} {value:?} holds a NUL character, which no program can be given")]
    Nul { what: &'static str, value: String },
    #[error("process.cwd {0:?} is not an absolute path")]
    RelativeCwd(PathBuf),
    #[error(
        "the mount at {} asks for id mappings, which this runtime can't apply: give the files of its \
         source to the mapped user (chown), and leave the mappings out", .0.display()
    )]
    IdMappedMount(PathBuf),
    #[error("the mount of {} has an empty destination: say where in the container", source_path.display())]
    NoDestination { source_path: PathBuf },
    #[error(
        "the memory limit of {limit} KiB (linux.resources.memory.limit) is too small for {path}: \
         it needs {needed} MiB at least, {runtime} MiB of them for the runtime"
    )]
    MemoryLimit {
        path: String,
        limit: u64,
        needed: u64,
        runtime: u64,
    },
    #[error("annotation {name} of the container can't be used: {problem}")]
    Annotation { name: &'static str, problem: String },
}
