use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::container::Container;
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::launcher::Streams;
use crate::process::{Exit, Process, Status, UNKNOWN};
use crate::stdio::{self, StdioPaths};
use crate::zygote::Zygote;

/// What containerd asks of Exec.
#[derive(Debug)]
pub struct ExecRequest {
    pub id: String,
    pub exec_id: String,
    pub stdio: StdioPaths,
    /// `process` of the OCI runtime spec, as JSON.
    pub spec: Vec<u8>,
}

/// A process that is added to a running container.
#[derive(Debug)]
pub struct Exec {
    pub id: String,
    pub process: Process,
    spec: Vec<u8>,
    /// Held during the one start that there is.
    starting: tokio::sync::Mutex<bool>,
}

impl Exec {
    pub fn new(request: ExecRequest) -> Self {
        let name = format!("{} in {}", request.exec_id, request.id);
        Self {
            id: request.exec_id,
            process: Process::new(name, request.stdio),
            spec: request.spec,
            starting: tokio::sync::Mutex::new(false),
        }
    }

    /// Makes the process and lets it run.
    pub async fn start(
        self: &Arc<Self>,
        container: &Arc<Container>,
        zygote: &Zygote,
    ) -> Result<()> {
        let mut was_started = self.starting.lock().await;
        if *was_started {
            return Err(self.process.wrong_state("was started before"));
        }
        *was_started = true;
        if let Err(error) = self.launch(container, zygote).await {
            // Who waits for its end must not wait for ever.
            self.process.stopped(Exit::now(UNKNOWN));
            return Err(error);
        }
        container.events.publish(Event::ExecStarted {
            id: container.id().to_owned(),
            exec_id: self.id.clone(),
            pid: self.process.pid(),
        });
        tokio::spawn(Arc::clone(self).watch(Arc::clone(container)));
        Ok(())
    }

    async fn launch(&self, container: &Container, zygote: &Zygote) -> Result<()> {
        let launcher = zygote.fork().await?;
        let owner = container.owner(user(&self.spec));
        let (ends, held) = stdio::open(&self.process.stdio, owner).await?;
        let file = self.spec_file(container);
        std::fs::write(&file, &self.spec).at("can't write", &file)?;
        let streams = Streams {
            stdio: ends,
            library: zygote.library().connect(container.asker()),
        };
        let launched = launcher
            .exec(
                container.launch.clone(),
                file.clone(),
                container.init.pid(),
                streams,
            )
            .await;
        // libcontainer has read it.
        let _ = std::fs::remove_file(file);
        self.process.set(launched?, held);
        self.process.started();
        Ok(())
    }

    /// Beside the container's state; an exec id can be any name.
    fn spec_file(&self, container: &Container) -> PathBuf {
        let name = Sha256::digest(&self.id);
        let hex: String = name[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        container.launch.state.join(format!("exec-{hex}.json"))
    }

    /// Follows the process to its end and tells of it.
    async fn watch(self: Arc<Self>, container: Arc<Container>) {
        let at = self.process.ended().await;
        let status = self.process.exit_status().await;
        if let Some(held) = self.process.held() {
            held.taken().await;
        }
        let exit = Exit { status, at };
        container.events.publish(Event::Exit {
            id: container.id().to_owned(),
            process: self.id.clone(),
            pid: self.process.pid(),
            exit,
        });
        self.process.stopped(exit);
    }

    /// Whether it can be forgotten: it has ended, or was never started.
    pub fn is_over(&self) -> bool {
        self.process.status() != Status::Running
    }
}

/// Refuses what can't be a process, before it is noted.
pub fn check(spec: &[u8]) -> Result<()> {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(spec)
        .map(drop)
        .map_err(|error| {
            Error::Invalid(format!(
                "the added process's description can't be understood: {error}"
            ))
        })
}

/// The user of a process.
fn user(spec: &[u8]) -> Option<u32> {
    let spec: serde_json::Value = serde_json::from_slice(spec).ok()?;
    spec["user"]["uid"].as_u64()?.try_into().ok()
}
