use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipc::Launch;
use oci::Bundle;
use rustix::process::Signal;

use crate::cgroup::Cgroup;
use crate::container::{Container, Exit, Status};
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::events::EventQueue;
use crate::options::RuntimeOptions;
use crate::rootfs::{self, Mount};
use crate::stdio::StdioPaths;
use crate::zygote::Zygote;

/// The file in a bundle that names the container's init process, for `delete`.
pub const PID_FILE: &str = "init.pid";

/// What containerd asks of Create.
#[derive(Debug)]
pub struct CreateRequest {
    pub id: String,
    pub bundle: PathBuf,
    pub rootfs: Vec<Mount>,
    pub stdio: StdioPaths,
    pub options: RuntimeOptions,
}

/// The containers of one shim.
#[derive(Debug)]
pub struct Tasks {
    zygote: Zygote,
    events: EventQueue,
    slots: Mutex<HashMap<String, Slot>>,
}

#[derive(Debug)]
enum Slot {
    /// Being created or deleted: the id is taken, but nothing can be asked.
    Busy,
    Ready(Arc<Container>),
}

impl Tasks {
    pub fn new(zygote: Zygote, events: EventQueue) -> Self {
        Self {
            zygote,
            events,
            slots: Mutex::default(),
        }
    }

    /// Starts the zygote while containerd still prepares its first request.
    pub async fn warm_up(&self) -> Result<()> {
        self.zygote.warm_up().await
    }

    /// Returns the pid of the container's init process.
    pub async fn create(&self, request: CreateRequest) -> Result<u32> {
        let id = request.id.clone();
        {
            let mut slots = self.slots();
            if slots.contains_key(&id) {
                return Err(Error::Exists(id));
            }
            slots.insert(id.clone(), Slot::Busy);
        }
        let created = self.create_in_slot(request).await;
        let mut slots = self.slots();
        match created {
            Ok(container) => {
                let pid = container.pid;
                slots.insert(id, Slot::Ready(container));
                Ok(pid)
            }
            Err(error) => {
                slots.remove(&id);
                Err(error)
            }
        }
    }

    async fn create_in_slot(&self, request: CreateRequest) -> Result<Arc<Container>> {
        let bundle = Bundle::load(&request.bundle)?;
        let systemd = request.options.systemd_cgroup;
        let cgroup = Cgroup::of(bundle.cgroups_path(), &request.id, systemd)?;
        let launch = launch(request.id, &request.bundle, request.options);
        let rootfs = request.bundle.join("rootfs");
        if !request.rootfs.is_empty() {
            rootfs::mount(&request.rootfs, &rootfs)?;
        }
        let created = Container::create(
            launch.clone(),
            request.stdio,
            cgroup.clone(),
            bundle.has_poststop_hooks(),
            &self.zygote,
            self.events.clone(),
        )
        .await;
        match created {
            Ok(container) => {
                let file = request.bundle.join(PID_FILE);
                // Only `delete` reads it, to name the process that it killed.
                if let Err(error) = std::fs::write(&file, container.pid.to_string()) {
                    log::warn!("can't write {}: {error}", file.display());
                }
                Ok(container)
            }
            Err(error) => {
                if let Err(leftover) = forget(&launch, &cgroup, &rootfs).await {
                    log::error!("after a failed create of {}: {leftover}", launch.id);
                }
                Err(error)
            }
        }
    }

    pub async fn start(&self, id: &str) -> Result<u32> {
        let container = self.get(id)?;
        container.start().await?;
        Ok(container.pid)
    }

    pub fn kill(&self, id: &str, signal: Signal, all: bool) -> Result<()> {
        let container = self.get(id)?;
        if all {
            container.signal_all(signal)
        } else {
            container.signal(signal)
        }
    }

    pub async fn wait(&self, id: &str) -> Result<Exit> {
        self.get(id)?.wait().await
    }

    /// Removes a stopped container; returns its pid and how it ended.
    pub async fn delete(&self, id: &str) -> Result<(u32, Exit)> {
        let (container, exit) = self.claim_stopped(id)?;
        if let Err(error) = self.remove(&container).await {
            // Not forgotten: it can be deleted again.
            self.slots().insert(id.to_owned(), Slot::Ready(container));
            return Err(error);
        }
        self.slots().remove(id);
        self.events.publish(Event::Delete {
            id: id.to_owned(),
            pid: container.pid,
            exit,
        });
        Ok((container.pid, exit))
    }

    /// Takes a stopped container out of the reach of other requests.
    fn claim_stopped(&self, id: &str) -> Result<(Arc<Container>, Exit)> {
        let mut slots = self.slots();
        let container = find(&slots, id)?;
        let Status::Stopped(exit) = container.status() else {
            return Err(Error::WrongState {
                id: id.to_owned(),
                what: "is not stopped; kill it before it is deleted",
            });
        };
        slots.insert(id.to_owned(), Slot::Busy);
        Ok((container, exit))
    }

    async fn remove(&self, container: &Container) -> Result<()> {
        if container.has_poststop_hooks {
            let launcher = self.zygote.fork().await?;
            // The hooks are the user's; that one fails does not keep the
            // container (OCI runtime spec, "Lifecycle", step 13).
            if let Err(error) = launcher.delete(container.launch.clone()).await {
                log::warn!("poststop hooks of {}: {error}", container.id());
            }
        }
        forget(&container.launch, &container.cgroup, &container.rootfs()).await
    }

    pub fn close_stdin(&self, id: &str) -> Result<()> {
        self.get(id)?.close_stdin();
        Ok(())
    }

    pub fn get(&self, id: &str) -> Result<Arc<Container>> {
        find(&self.slots(), id)
    }

    pub fn is_empty(&self) -> bool {
        self.slots().is_empty()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(slots: &HashMap<String, Slot>, id: &str) -> Result<Arc<Container>> {
    match slots.get(id) {
        Some(Slot::Ready(container)) => Ok(Arc::clone(container)),
        _ => Err(Error::NoTask(id.to_owned())),
    }
}

/// What the launcher is told of a container.
pub fn launch(id: String, bundle: &Path, options: RuntimeOptions) -> Launch {
    Launch {
        id,
        bundle: bundle.to_owned(),
        state: bundle.join("launch"),
        systemd_cgroup: options.systemd_cgroup,
        no_pivot_root: options.no_pivot_root,
        no_new_keyring: options.no_new_keyring,
    }
}

/// Removes all that a container leaves: processes, cgroup, mounts, state.
/// Goes on after a failure, and returns the first.
pub async fn forget(launch: &Launch, cgroup: &Cgroup, rootfs: &Path) -> Result<()> {
    let removed = cgroup.remove().await;
    rootfs::unmount(rootfs);
    match std::fs::remove_dir_all(&launch.state) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            removed.and(Err(error).at("can't remove", &launch.state))
        }
        _ => removed,
    }
}
