use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use figures::{Count, Figures};
use ipc::{Launch, Phase};
use oci::Bundle;

use crate::args::is_name;
use crate::artifact;
use crate::cgroup::Cgroup;
use crate::container::{Container, Ways};
use crate::content::{Content, Modules};
use crate::counts;
use crate::end::End;
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::events::EventQueue;
use crate::options::RuntimeOptions;
use crate::preparation::{Config, Preparation, Stamp};
use crate::process::{Exit, Status};
use crate::rootfs::{self, Mount};
use crate::slots::Slots;
use crate::spans::TraceContext;
use crate::stdio::StdioPaths;
use crate::trace::Trace;
use crate::zygote::Zygote;

/// The file in a bundle that names the container's init process, for `delete`.
pub const PID_FILE: &str = "init.pid";

/// How long a cgroup whose processes were killed may take to become empty.
const EMPTY_WITHIN: Duration = Duration::from_secs(5);

/// What containerd asks of Create.
#[derive(Debug)]
pub struct CreateRequest {
    pub id: String,
    pub bundle: PathBuf,
    pub rootfs: Vec<Mount>,
    pub stdio: StdioPaths,
    pub options: RuntimeOptions,
    /// Where this belongs, if containerd is traced.
    pub context: Option<TraceContext>,
}

/// What containerd does with the containers of one shim.
#[derive(Debug)]
pub struct Tasks {
    zygote: Zygote,
    content: Content,
    events: EventQueue,
    slots: Slots,
    /// The container that will be asked for first.
    early: tokio::sync::Mutex<Option<Preparation>>,
}

impl Tasks {
    /// `end` is decided when the shim is not needed any more.
    pub fn new(zygote: Zygote, content: Content, events: EventQueue, end: Arc<End>) -> Self {
        Self {
            zygote,
            content,
            events,
            slots: Slots::new(end),
            early: tokio::sync::Mutex::default(),
        }
    }

    /// Prepares a container while containerd is busy with other things: as a rule
    /// it asks for this one next.
    pub async fn prepare(&self, id: &str, bundle: Bundle, stamp: Stamp) -> Result<()> {
        // Who creates a container meanwhile waits for this.
        let mut early = self.early.lock().await;
        self.zygote.warm_up().await?;
        let config = Arc::new(Config::of(bundle, stamp)?);
        let options = RuntimeOptions::default();
        *early = Some(Preparation::make(id, config, options, &self.zygote).await?);
        Ok(())
    }

    /// Returns the pid of the container's init process.
    pub async fn create(&self, request: CreateRequest) -> Result<u32> {
        if !is_name(&request.id) {
            let error = format!("the container's id {:?} is not a name", request.id);
            return Err(Error::Invalid(error));
        }
        let claim = self.slots.claim_new(&request.id)?;
        let container = self.create_in_slot(request).await?;
        let pid = container.init.pid();
        claim.put(container);
        Ok(pid)
    }

    async fn create_in_slot(&self, request: CreateRequest) -> Result<Arc<Container>> {
        let (received, asked) = (Phase::done("begin"), Instant::now());
        let early = self.take_early(&request).await;
        let config = match &early {
            Some(early) => Arc::clone(&early.config),
            None => Arc::new(Config::read(&request.bundle)?),
        };
        let figures = Figures::at(config.settings.metrics.clone());
        let trace = Trace::new(
            &request.id,
            &config.settings,
            request.context.clone(),
            received,
        );
        trace.done("config.json");
        let ways = Ways {
            trace,
            figures: figures.clone(),
            asked,
        };
        let created = self.create_of(request, config, early, ways).await;
        if created.is_err() {
            counts::add(&figures, Count::FailedStart);
        }
        created
    }

    /// What was prepared, if it was for this container and nothing has changed.
    async fn take_early(&self, request: &CreateRequest) -> Option<Preparation> {
        let CreateRequest {
            id,
            bundle,
            options,
            ..
        } = request;
        let mut early = self.early.lock().await;
        let taken = early.take_if(|early| early.launch.id == *id)?;
        if taken.is_for(id, bundle, *options) {
            return Some(taken);
        }
        // Its cgroup is made anew, and must have nobody in it.
        taken.launcher.dismiss().await;
        if let Err(error) = taken.cgroup.remove(EMPTY_WITHIN).await {
            log::warn!(container = id; "what was prepared is left: {error}");
        }
        None
    }

    async fn create_of(
        &self,
        request: CreateRequest,
        config: Arc<Config>,
        early: Option<Preparation>,
        ways: Ways,
    ) -> Result<Arc<Container>> {
        let preparation = match early {
            Some(early) => early,
            None => Preparation::make(&request.id, config, request.options, &self.zygote).await?,
        };
        ways.trace.done("prepared");
        let (launch, cgroup) = (preparation.launch.clone(), preparation.cgroup.clone());
        let created = async {
            let modules = match self.mount(&request, &preparation.config.bundle).await {
                Ok(modules) => modules,
                Err(error) => {
                    preparation.launcher.dismiss().await;
                    return Err(error);
                }
            };
            ways.trace.done("rootfs");
            let library = self.zygote.library();
            let events = self.events.clone();
            let stdio = request.stdio.clone();
            Container::create(preparation, stdio, modules, ways, library, events).await
        };
        match created.await {
            Ok(container) => {
                let file = request.bundle.join(PID_FILE);
                // Only `delete` reads it, to name the process that it killed.
                if let Err(error) = std::fs::write(&file, container.init.pid().to_string()) {
                    log::warn!(container = launch.id; "can't write {}: {error}", file.display());
                }
                container.trace.done("pid file");
                container.trace.tell("create");
                Ok(container)
            }
            Err(error) => {
                if let Err(leftover) = forget(&launch, &cgroup, EMPTY_WITHIN).await {
                    log::error!(container = launch.id; "after a failed create: {leftover}");
                }
                Err(error)
            }
        }
    }

    /// Mounts the rootfs, if that is to be done; returns what is to be run and is
    /// not in it.
    async fn mount(&self, request: &CreateRequest, bundle: &Bundle) -> Result<Modules> {
        let rootfs = rootfs::of(&request.bundle);
        if !request.rootfs.is_empty() {
            rootfs::mount(&request.rootfs, &rootfs)?;
        }
        let root = bundle.rootfs()?;
        std::fs::metadata(&root).at("can't use the root file system (root.path)", &root)?;
        artifact::modules(bundle, &request.id, &self.content).await
    }

    pub async fn start(&self, id: &str) -> Result<u32> {
        let container = self.get(id)?;
        let asked = Instant::now();
        let started = container.start().await;
        let count = match started {
            Ok(()) => Count::Start(container.created_in + asked.elapsed()),
            Err(_) => Count::FailedStart,
        };
        let figures = container.figures.clone();
        tokio::spawn(async move {
            // The answer goes first.
            tokio::task::yield_now().await;
            counts::add(&figures, count);
        });
        started?;
        Ok(container.init.pid())
    }

    pub async fn start_exec(&self, id: &str, exec_id: &str) -> Result<u32> {
        let container = self.get(id)?;
        let exec = container.exec(exec_id)?;
        exec.start(&container, &self.zygote).await?;
        Ok(exec.process.pid())
    }

    /// Sets new limits: `linux.resources` of the OCI runtime spec, as JSON.
    pub async fn update(&self, id: &str, resources: &[u8]) -> Result<()> {
        let container = self.get(id)?;
        container.init.check_not_stopped()?;
        let file = container.launch.state.join("resources.json");
        std::fs::write(&file, resources).at("can't write", &file)?;
        let launcher = self.zygote.fork().await?;
        let updated = launcher
            .update(container.launch.clone(), file.clone())
            .await;
        let _ = std::fs::remove_file(file);
        updated
    }

    /// Removes a container that is not running; returns its pid and how it
    /// ended. Waits for one that is being created: containerd may have given
    /// up that call, and wants it undone.
    pub async fn delete(&self, id: &str) -> Result<(u32, Exit)> {
        let container = self.slots.get_settled(id).await?;
        container.end_unstarted().await?;
        let Status::Stopped(exit) = container.init.status() else {
            return Err(Error::WrongState {
                id: id.to_owned(),
                what: "is not stopped; kill it before it is deleted",
            });
        };
        let claim = self.slots.claim(&container)?;
        container.trace.done("delete asked");
        if let Some(held) = container.init.held() {
            held.delivered().await;
        }
        if let Err(error) = self.remove(&container).await {
            // Not forgotten: it can be deleted again.
            claim.put(container);
            return Err(error);
        }
        // Queued while the id is still taken, as no event may follow the last.
        self.events.publish(Event::Delete {
            id: id.to_owned(),
            pid: container.init.pid(),
            exit,
        });
        drop(claim);
        container.trace.done("deleted");
        container.trace.tell("delete");
        Ok((container.init.pid(), exit))
    }

    /// Forgets an added process that has ended or was never started.
    pub async fn delete_exec(&self, id: &str, exec_id: &str) -> Result<(u32, Exit)> {
        let exec = self.get(id)?.remove_exec(exec_id)?;
        if let Some(held) = exec.process.held() {
            held.delivered().await;
        }
        let exit = match exec.process.status() {
            Status::Stopped(exit) => exit,
            _ => Exit::now(0),
        };
        Ok((exec.process.pid(), exit))
    }

    async fn remove(&self, container: &Container) -> Result<()> {
        if container.has_poststop_hooks {
            let launcher = self.zygote.fork().await?;
            // The hooks are the user's; that one fails does not keep the
            // container (OCI runtime spec, "Lifecycle", step 13).
            if let Err(error) = launcher.delete(container.launch.clone()).await {
                log::warn!(container = container.id(); "poststop hooks: {error}");
            }
        }
        forget(&container.launch, &container.cgroup, EMPTY_WITHIN).await
    }

    pub fn get(&self, id: &str) -> Result<Arc<Container>> {
        self.slots.get(id)
    }

    /// containerd needs the shim no more; not while there are containers.
    pub fn shut_down(&self) {
        self.slots.end_when_empty();
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
        direct: false,
        trace: false,
    }
}

/// Removes all that a container leaves: processes, cgroup, mounts, state.
/// Goes on after a failure, and returns the first. `within`: how long killed
/// processes may take to be gone.
pub async fn forget(launch: &Launch, cgroup: &Cgroup, within: Duration) -> Result<()> {
    let removed = cgroup.remove(within).await;
    rootfs::unmount(&rootfs::of(&launch.bundle));
    match std::fs::remove_dir_all(&launch.state) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            removed.and(Err(error).at("can't remove", &launch.state))
        }
        _ => removed,
    }
}
