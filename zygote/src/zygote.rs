use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use ipc::{Channel, FromZygote, ToZygote};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::error::{Context, Error, Result};
use crate::reaper::Reaper;
use crate::{fds, fork, guest, launcher};

/// Serves the control connection until the shim closes it.
pub fn serve() -> Result<()> {
    let control = control_connection()?;
    // Orphans of launchers, which are the containers' init processes, become
    // children of this process, which can then tell how they ended.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .context("can't become a subreaper")?;
    let signals = Signals::new()?;
    guest::warm_up();
    let mut reaper = Reaper::default();
    loop {
        let (requested, child_ended) = wait(&control, &signals)?;
        if requested {
            match control.recv::<ToZygote>() {
                Ok((request, fds)) => {
                    handle(request, fds, &control, &signals, &mut reaper)?;
                }
                Err(ipc::Error::Closed) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        if child_ended {
            signals.drain();
        }
        for exited in reaper.reap() {
            control.send(&exited, &[])?;
        }
    }
}

/// The shim starts this process with the connection as its standard input,
/// which is then set to /dev/null, as the others are.
fn control_connection() -> Result<Channel> {
    let control = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .context("can't take the control connection")?;
    let null = std::fs::File::open("/dev/null").context("can't open /dev/null")?;
    rustix::stdio::dup2_stdin(null).context("can't replace standard input")?;
    Ok(Channel::from(control))
}

fn handle(
    request: ToZygote,
    fds: Vec<OwnedFd>,
    control: &Channel,
    signals: &Signals,
    reaper: &mut Reaper,
) -> Result<()> {
    match request {
        ToZygote::Fork => {
            let [connection] = <[OwnedFd; 1]>::try_from(fds)
                .map_err(|_| Error::OutOfOrder("a fork without a connection"))?;
            let connection = Channel::from(connection);
            let forked = fork::fork(|| {
                Signals::restore();
                // What is the zygote's: who holds it keeps the shim from seeing
                // that the zygote is gone.
                fds::close(control.as_raw_fd());
                fds::close(signals.0.as_raw_fd());
                launcher::run(connection)
            });
            let reply = match forked {
                Ok(pid) => {
                    reaper.add_launcher(pid);
                    FromZygote::Forked {
                        launcher: pid.as_raw(),
                    }
                }
                Err(error) => FromZygote::ForkFailed {
                    reason: error.to_string(),
                },
            };
            control.send(&reply, &[])?;
        }
        ToZygote::Wait { launcher, pid } => reaper.want(launcher, pid),
    }
    Ok(())
}

/// Waits for a request or the end of a child, and says which came.
fn wait(control: &Channel, signals: &Signals) -> Result<(bool, bool)> {
    let mut fds = [
        PollFd::new(control.as_fd(), PollFlags::POLLIN),
        PollFd::new(signals.0.as_fd(), PollFlags::POLLIN),
    ];
    match nix::poll::poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(error) => return Err(error).context("can't wait for requests"),
    }
    let came = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
    Ok((came(&fds[0]), came(&fds[1])))
}

/// SIGCHLD as a file descriptor.
struct Signals(SignalFd);

impl Signals {
    fn new() -> Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGCHLD);
        set.thread_block().context("can't block SIGCHLD")?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .context("can't make a signalfd")?;
        Ok(Self(fd))
    }

    fn drain(&self) {
        while let Ok(Some(_)) = self.0.read_signal() {}
    }

    /// For a child: all signals as they were before.
    fn restore() {
        // A mask that can't be set is one that is wrong already; nothing to do.
        let _ = SigSet::empty().thread_set_mask();
    }
}
