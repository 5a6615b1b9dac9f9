//! `wasm-content`: reads the modules of an OCI artifact from containerd's
//! content store.
//!
//! The shim spawns it for a container whose program is not in its root file
//! system, so that no other container pays for a gRPC client. Standard input is
//! the shim's connection; one message goes back, with each module as a sealed
//! file in memory. See docs/design.md, "Artifacts".

mod confine;
mod connection;
mod error;
mod image;
mod messages;
mod sealed;
mod store;

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use ipc::{Channel, FromContent};

use error::{Error, Result};
use image::Module;
use store::Store;

/// For all that is asked of containerd.
const LIMIT: Duration = Duration::from_secs(20);

/// Whose modules are wanted.
enum Wanted {
    /// Those of a container's image.
    Container(String),
    /// Those of the image of this name.
    Image(String),
}

struct Args {
    address: String,
    namespace: String,
    wanted: Wanted,
}

fn main() -> ExitCode {
    let answer = match run() {
        Ok(Some(modules)) => {
            let (files, fds): (Vec<_>, Vec<_>) = modules
                .into_iter()
                .map(|module| (module.description, module.file))
                .unzip();
            (FromContent::Modules(files), fds)
        }
        Ok(None) => (FromContent::Ordinary, Vec::new()),
        Err(error) => {
            let reason = error.to_string();
            (FromContent::Failed { reason }, Vec::new())
        }
    };
    match reply(&answer.0, &answer.1) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wasm-content: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Option<Vec<Module>>> {
    let args = parse(std::env::args().skip(1))?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?
        .block_on(async {
            let modules = tokio::time::timeout(LIMIT, modules(&args));
            modules.await.map_err(|_| Error::TooSlow(LIMIT))?
        })
}

fn parse(args: impl Iterator<Item = String>) -> Result<Args> {
    let args: Vec<String> = args.collect();
    let [address, namespace, kind, name] =
        <[String; 4]>::try_from(args).map_err(|_| Error::Usage)?;
    let wanted = match kind.as_str() {
        "container" => Wanted::Container(name),
        "image" => Wanted::Image(name),
        _ => return Err(Error::Usage),
    };
    Ok(Args {
        address,
        namespace,
        wanted,
    })
}

async fn modules(args: &Args) -> Result<Option<Vec<Module>>> {
    let mut store = Store::connect(&args.address, &args.namespace).await?;
    confine::confine().map_err(Error::Confine)?;
    match &args.wanted {
        Wanted::Container(id) => match store.image_of(id).await? {
            Some(name) => image::modules(&mut store, &name).await,
            None => Ok(None),
        },
        Wanted::Image(name) => match image::modules(&mut store, name).await? {
            None => Err(Error::Ordinary(name.clone())),
            modules => Ok(modules),
        },
    }
}

fn reply(answer: &FromContent, fds: &[OwnedFd]) -> std::result::Result<(), ipc::Error> {
    let shim = std::io::stdin().as_fd().try_clone_to_owned()?;
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    Channel::from(shim).send(answer, &fds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line() {
        let parse = |line: &str| parse(line.split(' ').map(str::to_owned));
        let args = parse("/c.sock ns container a").unwrap();
        assert_eq!(
            (args.address.as_str(), args.namespace.as_str()),
            ("/c.sock", "ns")
        );
        assert!(matches!(args.wanted, Wanted::Container(id) if id == "a"));
        assert!(parse("/c.sock ns image a").is_ok());
        for line in ["/c.sock ns a", "/c.sock ns layer a", "/c.sock ns image a b"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
