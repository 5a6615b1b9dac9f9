pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between an image's name and its modules. The texts reach
/// the person who typed the command: one sentence each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("usage: wasm-content ADDRESS NAMESPACE container|image NAME; the shim calls it")]
    Usage,
    #[error("can't start: {0}")]
    Runtime(std::io::Error),
    #[error("can't reach containerd at {address} to read the image's modules: {reason}")]
    Connect { address: String, reason: String },
    #[error("can't give up root's rights before the image is read: {0}")]
    Confine(rustix::io::Errno),
    #[error("containerd did not give the image's modules within {} s", .0.as_secs())]
    TooSlow(std::time::Duration),
    #[error("containerd can't say {what}: {}", .status.message())]
    Call {
        what: String,
        status: Box<tonic::Status>,
    },
    #[error(
        "image {0} is not in containerd's namespace any more; its modules are read when \
         a container starts, so pull or import it again"
    )]
    NoImage(String),
    #[error("image {image} can't be run: {problem}")]
    Image { image: String, problem: String },
    #[error(
        "image {0} is no artifact of WebAssembly modules; run it as an image, without the \
         annotation io.containerd.wasm.artifact"
    )]
    Ordinary(String),
    #[error("a module can't be kept in memory: {0}")]
    Memory(std::io::Error),
}
