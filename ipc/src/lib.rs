//! How the shim talks to the zygote: one message, some file descriptors, in one
//! packet of a Unix socket.
//!
//! Two kinds of connection: the *control* connection between shim and zygote
//! ([`ToZygote`], [`FromZygote`]), and one connection for each container
//! ([`ToLauncher`], [`FromLauncher`]), of which the shim makes a pair and sends
//! the zygote one end with [`ToZygote::Fork`]. The zygote hands that end to the
//! launcher unread, so that nothing of a container ever passes through it.
#![forbid(unsafe_code)]

mod channel;
mod listener;
mod message;
mod phase;
mod program;

pub use channel::{Channel, Error, MAX_FDS, MAX_MESSAGE, MAX_MODULES, Result};
pub use listener::Listener;
pub use message::{
    CgroupFolder, ExitStatus, FromCompiler, FromContent, FromLauncher, FromLibrary, FromZygote,
    Launch, ModuleFile, ToLauncher, ToLibrary, ToZygote,
};
pub use phase::{Phase, describe};
pub use program::zygote_program;
