use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use containerd_shim_protos::shim_async::create_task;
use containerd_shim_protos::ttrpc::r#async as ttrpc;

use crate::address::{Address, OwnSocket};
use crate::args::Args;
use crate::content::Content;
use crate::end::End;
use crate::error::{Context, Error, Result};
use crate::events::Publisher;
use crate::logging;
use crate::service::Service;
use crate::start::TTRPC_ADDRESS;
use crate::tasks::Tasks;
use crate::zygote::Zygote;

/// The names under which the task service is asked for: by containerd 1.6 to
/// 2.x, and by those who got version 3 from `start`. The messages are the same.
const SERVICES: [&str; 2] = ["containerd.task.v2.Task", "containerd.task.v3.Task"];

/// Serves a pod's tasks until containerd says that it is over. Runs in the
/// bundle of the first container; the listening socket is standard input.
pub fn serve(args: &Args) -> Result<()> {
    // A session of its own: signals to containerd's group are not for us.
    let _ = rustix::process::setsid();
    logging::init(args)?;
    let listener = inherited_listener()?;
    let address = Address::read(Path::new("."));
    // The bundle goes with its container; a pod's server stays.
    std::env::set_current_dir("/").at("can't change to", "/")?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the server")?
        .block_on(run(args, listener, address.and_then(Address::own)))
}

fn inherited_listener() -> Result<UnixListener> {
    let listener = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .context("can't take the listening socket")?;
    if !rustix::net::sockopt::socket_acceptconn(&listener).unwrap_or(false) {
        return Err(Error::Usage(
            "standard input is not a listening socket".into(),
        ));
    }
    let null = std::fs::File::open("/dev/null").at("can't open", "/dev/null")?;
    rustix::stdio::dup2_stdin(null).context("can't replace standard input")?;
    Ok(listener.into())
}

async fn run(args: &Args, listener: UnixListener, socket: Option<OwnSocket>) -> Result<()> {
    let events_address = std::env::var(TTRPC_ADDRESS).ok();
    let (events, publisher) = Publisher::start(events_address, args.namespace.clone());
    let end = Arc::new(End::new(socket));
    let zygote = Zygote::find()?;
    let content = Content::new(zygote.files(), args);
    let tasks = Arc::new(Tasks::new(zygote, content, events, Arc::clone(&end)));
    let mut server = listen(listener, &tasks)?;
    server.start().await?;
    log::debug!("serving");
    // Not waited for: requests may come meanwhile, and wait in their turn.
    let warming = tokio::spawn({
        let tasks = Arc::clone(&tasks);
        async move {
            if let Err(error) = tasks.warm_up().await {
                log::error!("{error}");
            }
        }
    });
    end.decided().await;
    log::debug!("ending");
    warming.abort();
    server.shutdown().await?;
    drop(server);
    drop(tasks);
    publisher.flush().await;
    Ok(())
}

fn listen(listener: UnixListener, tasks: &Arc<Tasks>) -> Result<ttrpc::Server> {
    let service = Arc::new(Service {
        tasks: Arc::clone(tasks),
    });
    let mut services = HashMap::new();
    for name in SERVICES {
        services.extend(
            create_task(service.clone())
                .into_values()
                .map(|methods| (name.to_owned(), methods)),
        );
    }
    let listener =
        ttrpc::transport::Listener::try_from(listener).context("can't serve the socket")?;
    Ok(ttrpc::Server::new()
        .add_listener(listener)
        .register_service(services))
}
