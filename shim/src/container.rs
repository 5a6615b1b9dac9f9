use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use figures::Figures;
use ipc::Launch;
use rustix::process::Signal;

use crate::cgroup::Cgroup;
use crate::content::Modules;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::events::EventQueue;
use crate::exec::{Exec, ExecRequest};
use crate::freezer;
use crate::launcher::{Starter, Streams};
use crate::library::{Asker, Library};
use crate::oom::OomWatch;
use crate::preparation::{Config, Preparation};
use crate::process::{Exit, Process, Status};
use crate::settings::Aot;
use crate::stdio::{self, Owner, StdioPaths};
use crate::trace::Trace;

/// How long added processes may take to be seen to end when init has ended.
const EXECS_END_WITHIN: Duration = Duration::from_secs(1);

/// One container and its processes, from Create to Delete.
#[derive(Debug)]
pub struct Container {
    pub launch: Launch,
    pub cgroup: Cgroup,
    pub has_poststop_hooks: bool,
    pub init: Process,
    pub events: EventQueue,
    pub aot: Aot,
    pub trace: Trace,
    pub figures: Figures,
    /// What Create took.
    pub created_in: Duration,
    has_own_pids: bool,
    is_paused: AtomicBool,
    execs: Mutex<HashMap<String, Arc<Exec>>>,
    /// `Some` until init was started or has ended. Held while the state
    /// changes, so that a start is done before an exit is told.
    starter: tokio::sync::Mutex<Option<Starter>>,
}

/// How a container is made, and what is told of it.
#[derive(Debug)]
pub struct Ways {
    pub trace: Trace,
    pub figures: Figures,
    /// When containerd has asked for it.
    pub asked: Instant,
}

impl Container {
    /// Makes the container and its init process, which then waits for `start`.
    /// The rootfs is mounted; the modules are what is not in it.
    pub async fn create(
        preparation: Preparation,
        stdio: StdioPaths,
        modules: Modules,
        ways: Ways,
        library: &Arc<Library>,
        events: EventQueue,
    ) -> Result<Arc<Self>> {
        let Preparation {
            config,
            launch,
            cgroup,
            launcher,
        } = preparation;
        let Config {
            bundle, settings, ..
        } = &*config;
        let Ways {
            trace,
            figures,
            asked,
        } = ways;
        let aot = settings.aot;
        let owner = owner(&launch, &events, bundle.user());
        let (ends, held) = match stdio::open(&stdio, owner).await {
            Ok(opened) => opened,
            Err(error) => {
                launcher.dismiss().await;
                return Err(error);
            }
        };
        let streams = Streams {
            stdio: ends,
            library: library.connect(asker(&launch.id, aot, &figures)),
        };
        trace.done("streams");
        let (handle, starter) = launcher.create(modules, streams).await?;
        trace.add(&handle.phases);
        trace.done("made known");
        let init = Process::new(launch.id.clone(), stdio);
        init.set(handle, held);
        let container = Arc::new(Self {
            launch,
            cgroup,
            has_poststop_hooks: bundle.has_poststop_hooks(),
            init,
            events,
            aot,
            trace,
            figures,
            created_in: asked.elapsed(),
            has_own_pids: bundle.has_own_pids(),
            is_paused: AtomicBool::new(false),
            execs: Mutex::default(),
            starter: tokio::sync::Mutex::new(Some(starter)),
        });
        container.events.publish(Event::Create {
            id: container.id().to_owned(),
            bundle: container.bundle().display().to_string(),
            stdio: container.init.stdio.clone(),
            pid: container.init.pid(),
        });
        tokio::spawn(Arc::clone(&container).watch());
        Ok(container)
    }

    pub fn id(&self) -> &str {
        &self.launch.id
    }

    pub fn bundle(&self) -> &Path {
        &self.launch.bundle
    }

    /// Whose the streams of a process of this container are.
    pub fn owner(&self, user: Option<u32>) -> Owner<'_> {
        owner(&self.launch, &self.events, user)
    }

    /// For a process of this container that asks for native code.
    pub fn asker(&self) -> Asker {
        asker(self.id(), self.aot, &self.figures)
    }

    pub fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    pub async fn start(&self) -> Result<()> {
        let mut starter = self.starter.lock().await;
        match self.init.status() {
            Status::Created => {}
            Status::Running => return Err(self.init.wrong_state("is running already")),
            Status::Stopped(_) => {
                return Err(self.init.wrong_state("has ended before it was started"));
            }
        }
        let Some(starter) = starter.take() else {
            return Err(self.init.wrong_state("was started before, without success"));
        };
        self.trace.done("start asked");
        starter.start().await?;
        self.trace.done("started");
        self.trace.tell("start");
        self.init.started();
        self.events.publish(Event::Start {
            id: self.id().to_owned(),
            pid: self.init.pid(),
        });
        Ok(())
    }

    /// Signals all processes of the container; also those that have outlived
    /// its init process, of which the error tells.
    pub fn signal_all(&self, signal: Signal) -> Result<()> {
        self.cgroup.signal(signal);
        self.init.check_not_stopped()
    }

    /// Signals init alone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.init.signal(signal)?;
        if signal == Signal::KILL {
            // A process that is frozen does not end on cgroup v1.
            self.cgroup.thaw_to_kill();
        }
        Ok(())
    }

    /// Stops all processes where they are.
    pub async fn pause(&self) -> Result<()> {
        self.check_running()?;
        freezer::freeze(&self.cgroup).await?;
        self.is_paused.store(true, Ordering::Relaxed);
        self.events.publish(Event::Paused {
            id: self.id().to_owned(),
        });
        Ok(())
    }

    pub fn resume(&self) -> Result<()> {
        if !self.is_paused() {
            return Err(self.init.wrong_state("is not paused"));
        }
        freezer::thaw(&self.cgroup)?;
        self.is_paused.store(false, Ordering::Relaxed);
        self.events.publish(Event::Resumed {
            id: self.id().to_owned(),
        });
        Ok(())
    }

    fn check_running(&self) -> Result<()> {
        match self.init.status() {
            Status::Running if self.is_paused() => Err(self.init.wrong_state("is paused")),
            Status::Running => Ok(()),
            _ => Err(self.init.wrong_state("is not running")),
        }
    }

    /// Ends the init process if it was created but not started.
    pub async fn end_unstarted(&self) -> Result<()> {
        {
            // Waits for a start that is under way.
            let _starter = self.starter.lock().await;
            if self.init.status() != Status::Created {
                return Ok(());
            }
            match self.init.signal(Signal::KILL) {
                Ok(()) | Err(Error::Exited(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.init.wait().await.map(drop)
    }

    /// Follows the init process to its end and tells of it.
    async fn watch(self: Arc<Self>) {
        let mut oom = OomWatch::new(self.cgroup.clone());
        let at = self.end_of_init(&mut oom).await;
        self.trace.done("end seen");
        // Waits for a start that is under way, and ends the launcher, which is
        // the process's parent as long as it lives.
        let mut starter = self.starter.lock().await;
        starter.take();
        if !self.has_own_pids {
            // Nobody else ends what the process has left, which holds its
            // output open: the kernel does so for a pid namespace alone.
            self.cgroup.signal(Signal::KILL);
        }
        let status = self.init.exit_status().await;
        self.await_execs().await;
        self.tell_of(&mut oom);
        if let Some(held) = self.init.held() {
            held.taken().await;
        }
        let exit = Exit { status, at };
        self.init.stopped(exit);
        self.events.publish(Event::Exit {
            id: self.id().to_owned(),
            process: self.id().to_owned(),
            pid: self.init.pid(),
            exit,
        });
        self.trace.done("end told");
        self.trace.tell("end");
    }

    async fn end_of_init(&self, oom: &mut OomWatch) -> SystemTime {
        loop {
            tokio::select! {
                at = self.init.ended() => return at,
                () = oom.changed() => self.tell_of(oom),
            }
        }
    }

    fn tell_of(&self, oom: &mut OomWatch) {
        if oom.is_new() {
            self.events.publish(Event::Oom {
                id: self.id().to_owned(),
            });
        }
    }

    /// All processes of a pid namespace end before the first of them has; their
    /// exits are told before its own.
    async fn await_execs(&self) {
        let running: Vec<_> = self
            .execs()
            .values()
            .filter(|exec| exec.process.status() == Status::Running)
            .cloned()
            .collect();
        let all = async {
            for exec in running {
                let _ = exec.process.wait().await;
            }
        };
        let _ = tokio::time::timeout(EXECS_END_WITHIN, all).await;
    }

    /// Takes a process to be added when it is started.
    pub fn add_exec(&self, request: ExecRequest) -> Result<()> {
        self.check_running()?;
        let mut execs = self.execs();
        if execs.contains_key(&request.exec_id) {
            return Err(Error::Exists(request.exec_id));
        }
        let exec_id = request.exec_id.clone();
        execs.insert(exec_id.clone(), Arc::new(Exec::new(request)));
        self.events.publish(Event::ExecAdded {
            id: self.id().to_owned(),
            exec_id,
        });
        Ok(())
    }

    pub fn exec(&self, exec_id: &str) -> Result<Arc<Exec>> {
        let exec = self.execs().get(exec_id).cloned();
        exec.ok_or_else(|| Error::NoProcess {
            id: self.id().to_owned(),
            exec: exec_id.to_owned(),
        })
    }

    pub fn remove_exec(&self, exec_id: &str) -> Result<Arc<Exec>> {
        let exec = self.exec(exec_id)?;
        if !exec.is_over() {
            return Err(exec
                .process
                .wrong_state("is not stopped; kill it before it is deleted"));
        }
        self.execs().remove(exec_id);
        Ok(exec)
    }

    /// The exec id of a process, if it was added.
    pub fn exec_id_of(&self, pid: u32) -> Option<String> {
        let execs = self.execs();
        let exec = execs.values().find(|exec| exec.process.pid() == pid);
        exec.map(|exec| exec.id.clone())
    }

    fn execs(&self) -> MutexGuard<'_, HashMap<String, Arc<Exec>>> {
        self.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn asker(container: &str, policy: Aot, figures: &Figures) -> Asker {
    Asker {
        container: container.to_owned(),
        policy,
        figures: figures.clone(),
    }
}

fn owner<'a>(launch: &'a Launch, events: &'a EventQueue, user: Option<u32>) -> Owner<'a> {
    Owner {
        containerd: events.containerd(),
        namespace: events.namespace(),
        id: &launch.id,
        user,
    }
}
