use std::collections::HashMap;
use std::fs::File;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use containerd_shim_protos::shim_async::create_task;
use containerd_shim_protos::ttrpc::r#async as ttrpc;
use oci::Bundle;

use crate::address::{Address, OwnSocket};
use crate::args::Args;
use crate::content::Content;
use crate::end::End;
use crate::error::{Context, Result};
use crate::events::Publisher;
use crate::logging;
use crate::preparation::Stamp;
use crate::service::Service;
use crate::tasks::Tasks;
use crate::zygote::Zygote;

/// The names under which the task service is asked for: by containerd 1.6 to
/// 2.x, and by those who got version 3 from `start`. The messages are the same.
const SERVICES: [&str; 2] = ["containerd.task.v2.Task", "containerd.task.v3.Task"];

/// Serves a pod's tasks until containerd says that it is over. Runs in the
/// bundle of the first container, which is prepared at once. `events`: where
/// containerd wants to hear of them.
pub fn serve(
    args: &Args,
    (address, listener): (Address, UnixListener),
    first: (Bundle, Stamp),
    events: Option<String>,
) -> Result<()> {
    // A session of its own: signals to containerd's group are not for us.
    let _ = rustix::process::setsid();
    quiet()?;
    logging::init(args)?;
    // The bundle goes with its container; a pod's server stays.
    std::env::set_current_dir("/").at("can't change to", "/")?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the server")?
        .block_on(run(args, listener, first, events, address.own()))
}

/// containerd waits until nobody else could write to its streams.
fn quiet() -> Result<()> {
    let what = "can't replace the standard streams";
    let null = File::options().read(true).write(true).open("/dev/null");
    let null = null.at("can't open", "/dev/null")?;
    rustix::stdio::dup2_stdin(&null).context(what)?;
    rustix::stdio::dup2_stdout(&null).context(what)?;
    rustix::stdio::dup2_stderr(&null).context(what)
}

async fn run(
    args: &Args,
    listener: UnixListener,
    (bundle, stamp): (Bundle, Stamp),
    events: Option<String>,
    socket: Option<OwnSocket>,
) -> Result<()> {
    let (events, publisher) = Publisher::start(events, args.namespace.clone());
    let end = Arc::new(End::new(socket));
    let zygote = Zygote::find()?;
    let content = Content::new(zygote.files(), args);
    let tasks = Arc::new(Tasks::new(zygote, content, events, Arc::clone(&end)));
    // Not waited for: requests may come meanwhile, and wait in their turn.
    let preparing = tokio::spawn({
        let tasks = Arc::clone(&tasks);
        let id = args.id.clone();
        async move {
            if let Err(error) = tasks.prepare(&id, bundle, stamp).await {
                // Who asks for the container is told, if it is still so.
                log::debug!("not prepared: {error}");
            }
        }
    });
    // The launcher works while this goes on.
    tokio::task::yield_now().await;
    show_as_server(args);
    let mut server = listen(listener, &tasks)?;
    server.start().await?;
    log::debug!("serving");
    end.decided().await;
    log::debug!("ending");
    preparing.abort();
    server.shutdown().await?;
    drop(server);
    drop(tasks);
    publisher.flush().await;
    Ok(())
}

/// In process lists, as other shims are shown; and leaves nothing of containerd's
/// environment.
fn show_as_server(args: &Args) {
    title::find();
    let program = std::env::args().next().unwrap_or_default();
    let flags = [
        ("-namespace", &args.namespace),
        ("-id", &args.id),
        ("-address", &args.address),
    ];
    let flags = flags.into_iter().flat_map(|(flag, value)| [flag, value]);
    let line: Vec<&str> = [program.as_str()].into_iter().chain(flags).collect();
    title::set(&line);
    title::forget_environment();
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
