use std::io;
use std::path::PathBuf;

pub type Result<T> = std::result::Result<T, Error>;

/// What can be wrong: one sentence that says where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("can't write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} is there already and is no regular file; name another output, or - for standard output", .0.display())]
    OutputNoFile(PathBuf),
    #[error(
        "standard output is a terminal, which an archive would garble; redirect it, or name a file after -o"
    )]
    OutputTerminal,

    #[error("{} is a component (WASI preview 2), and WasmEdge runs modules; build for wasip1 (wasm32-wasip1)", .0.display())]
    Component(PathBuf),
    #[error("{} is no WebAssembly module: it does not begin with \\0asm and version 1; name a .wasm file", .0.display())]
    NotWasm(PathBuf),
    #[error("{} is no program for Linux; leave out --native for a module", .0.display())]
    NotNative(PathBuf),
    #[error("{} is malformed: {reason}; build it anew", path.display())]
    Malformed { path: PathBuf, reason: String },
    #[error("{} has no name that can stand in an image; rename it to letters, digits and .wasm", .0.display())]
    ModuleName(PathBuf),
    #[error("{} exports no function {function:?}; it exports {exports}: name one with --entrypoint", path.display())]
    NoFunction {
        path: PathBuf,
        function: String,
        exports: String,
    },
    #[error("{function:?} of {} has {parameters} parameters and {results} results; an entrypoint has none of either", path.display())]
    NotCallable {
        path: PathBuf,
        function: String,
        parameters: usize,
        results: usize,
    },
    #[error("can't make an image name of {}; name the image with --tag", .0.display())]
    NoTag(PathBuf),

    #[error("{} and {} are both imported as {name:?}; give one of them another name", first.display(), second.display())]
    DuplicateImport {
        name: String,
        first: PathBuf,
        second: PathBuf,
    },
    #[error("--{flag} {name} is given twice; leave one out")]
    Duplicate { flag: &'static str, name: String },
    #[error("an artifact has no place for {flag}: {instead}, or leave out --artifact")]
    NotInArtifact {
        flag: &'static str,
        instead: &'static str,
    },
    #[error(
        "an artifact is always for wasip1/wasm, not for {0}; leave out --platform or --artifact"
    )]
    ArtifactPlatform(String),

    #[error("{first} and {second} are both to be {} in the image; leave one out", path.display())]
    Clash {
        path: PathBuf,
        first: String,
        second: String,
    },
    #[error("{first} is to be {} in the image and no folder, so {second} can't lie below it, at {}", parent.display(), path.display())]
    NotBelow {
        path: PathBuf,
        parent: PathBuf,
        first: String,
        second: String,
    },
    #[error("{} is a device, a pipe or a socket, which an image can't hold; leave it out", .0.display())]
    Special(PathBuf),
    #[error("{origin} is to be {} in the image, where names that begin with .wh. delete files; rename it", path.display())]
    Whiteout { path: PathBuf, origin: String },
    #[error("--add {} has a slash at the end but is a file; name the file itself, such as {}", from.display(), instead.display())]
    FileAsFolder { from: PathBuf, instead: PathBuf },
    #[error("--add {}: a file can't be the root of the image; name its path there", .0.display())]
    FileAsRoot(PathBuf),
    #[error("{} changed its size while it was read; pack again when nothing writes to it", .0.display())]
    Changed(PathBuf),
    #[error("SOURCE_DATE_EPOCH is {0:?}; set it to seconds since 1970, or unset it")]
    SourceDateEpoch(String),

    #[error("{} is no archive of an image: {reason}", path.display())]
    NotAnArchive { path: PathBuf, reason: String },
    #[error("{}: {problems} found, see above", path.display())]
    Problems { path: PathBuf, problems: String },

    #[error("only root may use the node's native code; run this as root")]
    NotRoot,
    #[error("{} is missing; install this program and the shim in one tree, as `make install` does", .0.display())]
    NoZygote(PathBuf),
    #[error("can't run {}: {source}", path.display())]
    Run { path: PathBuf, source: io::Error },
    #[error("{} failed: {said}", path.display())]
    Zygote { path: PathBuf, said: String },
    #[error("no module is in {}", .0.display())]
    NoModules(PathBuf),
    #[error("{failed} of {all} modules can't be compiled, see above; they are interpreted")]
    NotCompiled { failed: usize, all: usize },
    #[error("{0:?} is the hash of no module in the cache; `wasm-oci cache ls` lists them")]
    NotCached(String),
    #[error("{hash:?} is the beginning of {count} hashes in the cache; give more of it")]
    Ambiguous { hash: String, count: usize },
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// 2 for what is wrong with the command line, as clap has it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::DuplicateImport { .. }
            | Self::Duplicate { .. }
            | Self::NotInArtifact { .. }
            | Self::ArtifactPlatform(_)
            | Self::NoTag(_)
            | Self::OutputTerminal
            | Self::FileAsFolder { .. }
            | Self::FileAsRoot(_)
            | Self::SourceDateEpoch(_) => 2,
            _ => 1,
        }
    }
}
