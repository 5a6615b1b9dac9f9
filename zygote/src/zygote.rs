use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ipc::{Channel, FromZygote, Listener, ToZygote};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::unistd::Pid;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::child_signal::ChildSignal;
use crate::empty_mounts::EmptyMounts;
use crate::error::{Context, Error, Result};
use crate::launcher::{Ahead, Kit};
use crate::own_cgroup::OwnCgroup;
use crate::reaper::Reaper;
use crate::spare::Spare;
use crate::{fds, fork, guest, launcher, lighten};

/// How long a zygote without shims stays for the next one.
const IDLE: Duration = Duration::from_secs(10);

/// How long to leave shims waiting that can't be accepted, for want of
/// descriptors or memory.
const FULL: Duration = Duration::from_secs(1);

/// How long after a launcher's end the next one is made: the container that it
/// has made starts now, and needs the processors itself.
const SPARE_AFTER: Duration = Duration::from_millis(5);

/// How many descriptors no shim is accepted for: what is done for those that are
/// here needs some for a while.
const RESERVE: usize = 16;

/// Serves all shims of a node that are of this build, until none is left. The
/// socket that they connect to is at `path`, and standard input listens there.
pub fn serve(path: &Path) -> Result<()> {
    // What containerd may have inherited is not ours to hold.
    fds::close_all_but_stdio();
    // Its loader's name says nothing to who looks at the processes.
    let _ = rustix::thread::set_name(c"wasm-zygote");
    title::find();
    // A session of its own: the end of the shim that started this process, or
    // of its pod, is not for it.
    let _ = rustix::process::setsid();
    // Orphans of launchers, which are the containers' init processes, become
    // children of this process, which can then tell how they ended.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .context("can't become a subreaper")?;
    // A descriptor for each shim of the node.
    let own_limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: own_limit.maximum,
        ..own_limit
    };
    setrlimit(Resource::Nofile, raised).context("can't raise the limit of open files")?;
    let socket = inode(path);
    let name = path.file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let mut zygote = Zygote {
        listener: inherited_listener()?,
        own_limit,
        children: ChildSignal::new()?,
        clients: BTreeMap::new(),
        next_client: 0,
        reaper: Reaper::default(),
        spare: None,
        spare_due: Some(Instant::now()),
        is_full: false,
        own_network: false,
        cgroup: None,
        empty: None,
        place: path.parent().unwrap_or(Path::new("/")).to_owned(),
        name,
    };
    guest::warm_up();
    // Those of libLLVM read what is given back then.
    fork::skip_exit_handlers()?;
    lighten::lighten();
    fds::quiet()?;
    loop {
        zygote.serve_until_idle()?;
        if zygote.retire(path, socket)? {
            zygote.clear_up();
            return Ok(());
        }
    }
}

/// Which file is at `path`, if any.
fn inode(path: &Path) -> Option<(u64, u64)> {
    let file = std::fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// The shim starts this process with the listening socket as its standard
/// input.
fn inherited_listener() -> Result<Listener> {
    let listener = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .context("can't take the listening socket")?;
    Ok(Listener::from(listener))
}

struct Zygote {
    listener: Listener,
    /// The limit of open files that containers inherit.
    own_limit: Rlimit,
    children: ChildSignal,
    /// The shims, in the order of their coming.
    clients: BTreeMap<u64, Channel>,
    next_client: u64,
    reaper: Reaper,
    /// The launcher of the next container.
    spare: Option<Spare>,
    /// When one is to be made: not while something is being started, as far as
    /// can be told.
    spare_due: Option<Instant>,
    /// The last shim that came could not be accepted, and none has gone since.
    is_full: bool,
    /// Whether the last container had a network namespace of its own.
    own_network: bool,
    /// Joined before the first fork.
    cgroup: Option<OwnCgroup>,
    /// Made before the first launcher, on this folder; without it, containers
    /// are made by libcontainer.
    empty: Option<EmptyMounts>,
    place: PathBuf,
    /// No other zygote has it.
    name: String,
}

/// What has happened.
#[derive(Default)]
struct Happened {
    connected: bool,
    child_ended: bool,
    asked: Vec<u64>,
}

impl Zygote {
    /// Returns when nobody has needed this process for a while.
    fn serve_until_idle(&mut self) -> Result<()> {
        while let Some(happened) = self.wait()? {
            if happened.child_ended {
                self.children.drain();
            }
            if happened.connected {
                self.accept();
            }
            for client in happened.asked {
                if self.hear(client).is_err() {
                    self.drop_client(client);
                }
            }
            if self.reaper.collect() {
                self.spare_due = Some(Instant::now() + SPARE_AFTER);
            }
            for (client, answer) in self.reaper.answers() {
                self.tell(client, &answer);
            }
        }
        Ok(())
    }

    /// Waits for something to happen; `None` if that is nothing, for long.
    fn wait(&mut self) -> Result<Option<Happened>> {
        let wanted = PollFlags::POLLIN;
        let of_listener = if self.is_full {
            PollFlags::empty()
        } else {
            wanted
        };
        let mut fds = vec![
            PollFd::new(self.listener.as_fd(), of_listener),
            PollFd::new(self.children.as_fd(), wanted),
        ];
        fds.extend(
            self.clients
                .values()
                .map(|client| PollFd::new(client.as_fd(), wanted)),
        );
        let spare_due = self.spare_due.filter(|_| self.spare.is_none());
        let is_idle = self.clients.is_empty() && self.reaper.is_idle();
        let wants_cgroup = self.cgroup.is_none();
        let limit = if wants_cgroup {
            Some(Duration::ZERO)
        } else if let Some(due) = spare_due {
            Some(due.saturating_duration_since(Instant::now()))
        } else if self.is_full {
            Some(FULL)
        } else {
            is_idle.then_some(IDLE)
        };
        let timeout = limit.map_or(PollTimeout::NONE, |limit| {
            PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)
        });
        match nix::poll::poll(&mut fds, timeout) {
            Ok(0) if wants_cgroup => {
                self.join_cgroup();
                return Ok(Some(Happened::default()));
            }
            Ok(0) if spare_due.is_some() => {
                self.make_spare();
                return Ok(Some(Happened::default()));
            }
            Ok(0) if self.is_full => {
                self.is_full = false;
                return Ok(Some(Happened::default()));
            }
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Ok(Some(Happened::default())),
            Err(error) => return Err(error).context("can't wait for requests"),
        }
        let came = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        let clients = self.clients.keys().zip(&fds[2..]);
        Ok(Some(Happened {
            connected: came(&fds[0]),
            child_ended: came(&fds[1]),
            asked: clients
                .filter(|(_, fd)| came(fd))
                .map(|(client, _)| *client)
                .collect(),
        }))
    }

    fn accept(&mut self) {
        if !self.has_reserve() {
            self.is_full = true;
            return;
        }
        match self.listener.accept() {
            Ok(Some(client)) => {
                self.clients.insert(self.next_client, client);
                self.next_client += 1;
            }
            // A stranger, or one that has gone already.
            Ok(None) => {}
            // Those that are here must not suffer for it.
            Err(_) => self.is_full = true,
        }
    }

    fn has_reserve(&self) -> bool {
        let socket = self.listener.as_fd();
        let reserve: std::io::Result<Vec<OwnedFd>> =
            (0..=RESERVE).map(|_| socket.try_clone_to_owned()).collect();
        reserve.is_ok()
    }

    /// Takes one request of a client; an error is the end of the client.
    fn hear(&mut self, client: u64) -> Result<()> {
        let Some(channel) = self.clients.get(&client) else {
            return Ok(());
        };
        match channel.try_recv::<ToZygote>()? {
            (ToZygote::Fork { own_network }, fds) => {
                self.own_network = own_network.unwrap_or(self.own_network);
                let answer = match self.fork(fds) {
                    Ok(launcher) => FromZygote::Forked { launcher },
                    Err(error) => FromZygote::ForkFailed {
                        reason: error.to_string(),
                    },
                };
                self.tell(client, &answer);
            }
            (ToZygote::Wait { launcher, pid }, _) => self.reaper.want(client, launcher, pid),
        }
        Ok(())
    }

    fn fork(&mut self, fds: Vec<OwnedFd>) -> Result<i32> {
        self.join_cgroup();
        let [connection] = <[OwnedFd; 1]>::try_from(fds)
            .map_err(|_| Error::OutOfOrder("a fork without a connection"))?;
        let connection = Channel::from(connection);
        let employed = self.spare.take().filter(|spare| {
            // It may have been killed.
            spare.employ(&connection).is_ok()
        });
        let pid = match employed {
            Some(spare) => spare.pid,
            None => self.fork_launcher(|| Some(connection), false)?,
        };
        self.reaper.add_launcher(pid);
        self.spare_due = None;
        Ok(pid.as_raw())
    }

    /// Before anything is forked, which comes to be where this is; as a rule while
    /// the first shim waits for containerd.
    fn join_cgroup(&mut self) {
        if self.cgroup.is_none() {
            self.cgroup = Some(OwnCgroup::join("wasm-zygote", &self.name, &[]));
            self.empty = EmptyMounts::make(&self.place).ok();
        }
    }

    /// Without one, as after a failure, the next launcher is forked when it is
    /// asked for.
    fn make_spare(&mut self) {
        self.spare = Spare::new(|await_work| self.fork_launcher(await_work, true)).ok();
        self.spare_due = None;
    }

    /// `goes_ahead`: it has time to fork an init process before it has work.
    fn fork_launcher(
        &self,
        connection: impl FnOnce() -> Option<Channel>,
        goes_ahead: bool,
    ) -> Result<Pid> {
        fork::fork(|| {
            ChildSignal::restore();
            let _ = setrlimit(Resource::Nofile, self.own_limit);
            self.close_in_child();
            let empty = self.empty.as_ref();
            // Without one, as after a failure, it is forked when it is needed.
            let ahead = empty
                .filter(|_| goes_ahead)
                .and_then(|empty| Ahead::fork(empty, self.own_network).ok());
            let kit = Kit { empty, ahead };
            match connection() {
                Some(connection) => launcher::run(connection, kit),
                None => {
                    kit.dismiss();
                    0
                }
            }
        })
    }

    /// Closes what is the zygote's alone: who holds it keeps shims from seeing
    /// that the zygote is gone, and could speak in their names.
    fn close_in_child(&self) {
        fds::close(self.listener.as_fd().as_raw_fd());
        fds::close(self.children.as_fd().as_raw_fd());
        for client in self.clients.values() {
            fds::close(client.as_raw_fd());
        }
        if let Some(spare) = &self.spare {
            spare.close();
        }
    }

    fn tell(&mut self, client: u64, answer: &FromZygote) {
        // A shim that does not read its answers must not hold up the others.
        let told = self
            .clients
            .get(&client)
            .is_some_and(|channel| channel.try_send(answer, &[]).is_ok());
        if !told {
            self.drop_client(client);
        }
    }

    fn drop_client(&mut self, client: u64) {
        self.clients.remove(&client);
        self.reaper.forget(client);
        self.is_full = false;
    }

    /// Leaves nothing behind.
    fn clear_up(self) {
        if let Some(spare) = self.spare {
            spare.dismiss();
        }
        if let Some(cgroup) = self.cgroup {
            cgroup.leave();
        }
    }

    /// Gives up the socket, unless somebody has come meanwhile: shims connect
    /// with the folder locked, so none can come while this looks.
    fn retire(&mut self, path: &Path, socket: Option<(u64, u64)>) -> Result<bool> {
        let folder = File::open(path.parent().unwrap_or(Path::new("/")))
            .context("can't open the folder of the socket")?;
        if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(false);
        }
        let mut fds = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        let waiting =
            nix::poll::poll(&mut fds, PollTimeout::ZERO).context("can't look for connections")?;
        if waiting > 0 {
            return Ok(false);
        }
        // Another one there is of a zygote that was started in place of this.
        if inode(path) == socket {
            let _ = std::fs::remove_file(path);
        }
        Ok(true)
    }
}
