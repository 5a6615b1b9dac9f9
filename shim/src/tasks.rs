use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use figures::{Count, Figures};
use ipc::{Launch, Phase};
use oci::Bundle;

use crate::args::is_name;
use crate::artifact;
use crate::cgroup::Cgroup;
use crate::cgroup_path;
use crate::container::{Container, Ways};
use crate::content::Content;
use crate::counts;
use crate::end::End;
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::events::EventQueue;
use crate::options::RuntimeOptions;
use crate::process::{Exit, Status};
use crate::rootfs::{self, Mount};
use crate::settings::Settings;
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
}

impl Tasks {
    /// `end` is decided when the shim is not needed any more.
    pub fn new(zygote: Zygote, content: Content, events: EventQueue, end: Arc<End>) -> Self {
        Self {
            zygote,
            content,
            events,
            slots: Slots::new(end),
        }
    }

    /// Starts the zygote while containerd still prepares its first request.
    pub async fn warm_up(&self) -> Result<()> {
        self.zygote.warm_up().await
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
        let bundle = Bundle::load(&request.bundle)?;
        let settings = Settings::of(&bundle)?;
        let figures = Figures::at(settings.metrics.clone());
        let created = self
            .create_of(request, &bundle, settings, (received, asked))
            .await;
        if created.is_err() {
            counts::add(&figures, Count::FailedStart);
        }
        created
    }

    async fn create_of(
        &self,
        mut request: CreateRequest,
        bundle: &Bundle,
        settings: Settings,
        (received, asked): (Phase, Instant),
    ) -> Result<Arc<Container>> {
        request.options.systemd_cgroup |= cgroup_path::is_systemd(bundle.cgroups_path());
        let systemd = request.options.systemd_cgroup;
        let cgroup = Cgroup::of(bundle.cgroups_path(), &request.id, systemd)?;
        cgroup.check_unused()?;
        let trace = Trace::new(&request.id, &settings, request.context.take(), received);
        trace.done("config.json");
        let launch = Launch {
            direct: settings.direct,
            trace: trace.is_wanted(),
            ..launch(request.id, &request.bundle, request.options)
        };
        let rootfs = rootfs::of(&request.bundle);
        if !request.rootfs.is_empty() {
            rootfs::mount(&request.rootfs, &rootfs)?;
        }
        let root = bundle.rootfs()?;
        std::fs::metadata(&root).at("can't use the root file system (root.path)", &root)?;
        trace.done("rootfs");
        let created = async {
            let modules = artifact::modules(bundle, &launch.id, &self.content).await?;
            Container::create(
                launch.clone(),
                request.stdio,
                cgroup.clone(),
                (bundle, modules),
                Ways {
                    aot: settings.aot,
                    trace,
                    figures: Figures::at(settings.metrics),
                    asked,
                },
                &self.zygote,
                self.events.clone(),
            )
            .await
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
