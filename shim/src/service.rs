//! The task service: containerd's messages on the one side, [`Tasks`] on the
//! other. Nothing of protobuf goes further in than this.

use std::sync::Arc;

use async_trait::async_trait;
use containerd_shim_protos::api;
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::shim::oci::ProcessDetails;
use containerd_shim_protos::shim_async::Task;
use containerd_shim_protos::ttrpc::r#async::TtrpcContext;
use containerd_shim_protos::ttrpc::{self, Code};
use rustix::process::Signal;

use crate::container::Container;
use crate::error::{Error, Result};
use crate::exec::{self, Exec, ExecRequest};
use crate::message::{any, timestamp};
use crate::metrics;
use crate::options::RuntimeOptions;
use crate::process::{Exit, Process, Status};
use crate::rootfs::Mount;
use crate::signal::signal;
use crate::spans::TraceContext;
use crate::stdio::{Held, StdioPaths};
use crate::tasks::{CreateRequest, Tasks};

/// Answers containerd's calls (containerd.task.v2.Task, which v3 repeats).
pub struct Service {
    pub tasks: Arc<Tasks>,
}

impl Service {
    /// One process of a task: the first, or an added one.
    fn process(&self, id: &str, exec_id: &str) -> Result<Target> {
        let container = self.tasks.get(id)?;
        let exec = match exec_id {
            "" => None,
            exec_id => Some(container.exec(exec_id)?),
        };
        Ok(Target { container, exec })
    }

    /// Does what must not stop half way: containerd may give up a call, or go
    /// away, at which ttrpc drops what answers it.
    async fn to_the_end<T, Work>(&self, work: impl FnOnce(Arc<Tasks>) -> Work) -> Result<T>
    where
        T: Send + 'static,
        Work: Future<Output = Result<T>> + Send + 'static,
    {
        match tokio::spawn(work(Arc::clone(&self.tasks))).await {
            Ok(result) => result,
            Err(panic) => Err(Error::Bug(panic.to_string())),
        }
    }

    async fn do_create(
        &self,
        request: api::CreateTaskRequest,
        context: Option<TraceContext>,
    ) -> Result<u32> {
        if !request.checkpoint.is_empty() {
            return Err(Error::Unimplemented("restoring from a checkpoint"));
        }
        let rootfs = request.rootfs.into_iter().map(|mount| Mount {
            kind: mount.type_,
            source: mount.source,
            options: mount.options,
        });
        let request = CreateRequest {
            id: request.id,
            bundle: request.bundle.into(),
            rootfs: rootfs.collect(),
            stdio: StdioPaths {
                stdin: request.stdin,
                stdout: request.stdout,
                stderr: request.stderr,
                terminal: request.terminal,
            },
            options: RuntimeOptions::parse(request.options.as_ref())?,
            context,
        };
        self.to_the_end(|tasks| async move { tasks.create(request).await })
            .await
    }
}

/// What a call is about.
struct Target {
    container: Arc<Container>,
    exec: Option<Arc<Exec>>,
}

impl Target {
    fn process(&self) -> &Process {
        match &self.exec {
            Some(exec) => &exec.process,
            None => &self.container.init,
        }
    }

    fn kill(&self, signal: Signal, all: bool) -> Result<()> {
        match &self.exec {
            Some(exec) => exec.process.signal(signal),
            None if all => self.container.signal_all(signal),
            None => self.container.signal(signal),
        }
    }

    fn resize(&self, width: u32, height: u32) -> Result<()> {
        let console = self.process().held().and_then(Held::console);
        let console =
            console.ok_or_else(|| self.process().wrong_state("has no terminal to resize"))?;
        let side = |cells: u32| u16::try_from(cells).unwrap_or(u16::MAX);
        console.resize(side(width), side(height))
    }
}

#[async_trait]
impl Task for Service {
    async fn state(
        &self,
        _: &TtrpcContext,
        request: api::StateRequest,
    ) -> ttrpc::Result<api::StateResponse> {
        let target = answer("State", self.process(&request.id, &request.exec_id))?;
        Ok(state(&target))
    }

    async fn create(
        &self,
        call: &TtrpcContext,
        request: api::CreateTaskRequest,
    ) -> ttrpc::Result<api::CreateTaskResponse> {
        let context = call.metadata.get("traceparent");
        let context = context.and_then(|values| TraceContext::parse(values.first()?));
        let pid = answer("Create", self.do_create(request, context).await)?;
        Ok(api::CreateTaskResponse {
            pid,
            ..Default::default()
        })
    }

    async fn start(
        &self,
        _: &TtrpcContext,
        request: api::StartRequest,
    ) -> ttrpc::Result<api::StartResponse> {
        let pid = self
            .to_the_end(|tasks| async move {
                match request.exec_id.as_str() {
                    "" => tasks.start(&request.id).await,
                    exec_id => tasks.start_exec(&request.id, exec_id).await,
                }
            })
            .await;
        let pid = answer("Start", pid)?;
        Ok(api::StartResponse {
            pid,
            ..Default::default()
        })
    }

    async fn delete(
        &self,
        _: &TtrpcContext,
        request: api::DeleteRequest,
    ) -> ttrpc::Result<api::DeleteResponse> {
        let deleted = self
            .to_the_end(|tasks| async move {
                match request.exec_id.as_str() {
                    "" => tasks.delete(&request.id).await,
                    exec_id => tasks.delete_exec(&request.id, exec_id).await,
                }
            })
            .await;
        let (pid, exit) = answer("Delete", deleted)?;
        Ok(api::DeleteResponse {
            pid,
            exit_status: exit.status,
            exited_at: MessageField::some(timestamp(exit.at)),
            ..Default::default()
        })
    }

    async fn pids(
        &self,
        _: &TtrpcContext,
        request: api::PidsRequest,
    ) -> ttrpc::Result<api::PidsResponse> {
        let container = answer("Pids", self.tasks.get(&request.id))?;
        let processes = container
            .cgroup
            .pids()
            .into_iter()
            .map(|pid| process_info(&container, pid));
        Ok(api::PidsResponse {
            processes: processes.collect(),
            ..Default::default()
        })
    }

    async fn kill(&self, _: &TtrpcContext, request: api::KillRequest) -> ttrpc::Result<api::Empty> {
        let target = answer("Kill", self.process(&request.id, &request.exec_id))?;
        // Signal 0 asks whether there is a process (kill(2)).
        let sent = match request.signal {
            0 => target.process().check_not_stopped(),
            number => signal(number).and_then(|signal| target.kill(signal, request.all)),
        };
        answer("Kill", sent)?;
        Ok(api::Empty::default())
    }

    async fn wait(
        &self,
        _: &TtrpcContext,
        request: api::WaitRequest,
    ) -> ttrpc::Result<api::WaitResponse> {
        let target = answer("Wait", self.process(&request.id, &request.exec_id))?;
        let exit = answer("Wait", target.process().wait().await)?;
        Ok(api::WaitResponse {
            exit_status: exit.status,
            exited_at: MessageField::some(timestamp(exit.at)),
            ..Default::default()
        })
    }

    async fn stats(
        &self,
        _: &TtrpcContext,
        request: api::StatsRequest,
    ) -> ttrpc::Result<api::StatsResponse> {
        let container = answer("Stats", self.tasks.get(&request.id))?;
        let stats = answer("Stats", metrics::read(&container.cgroup))?;
        Ok(api::StatsResponse {
            stats: MessageField::some(stats),
            ..Default::default()
        })
    }

    async fn connect(
        &self,
        _: &TtrpcContext,
        request: api::ConnectRequest,
    ) -> ttrpc::Result<api::ConnectResponse> {
        // containerd connects also before there is a task.
        let task_pid = self
            .tasks
            .get(&request.id)
            .map_or(0, |task| task.init.pid());
        Ok(api::ConnectResponse {
            shim_pid: std::process::id(),
            task_pid,
            version: env!("CARGO_PKG_VERSION").into(),
            ..Default::default()
        })
    }

    async fn close_io(
        &self,
        _: &TtrpcContext,
        request: api::CloseIORequest,
    ) -> ttrpc::Result<api::Empty> {
        let target = answer("CloseIO", self.process(&request.id, &request.exec_id))?;
        if request.stdin
            && let Some(held) = target.process().held()
        {
            held.close_stdin();
        }
        Ok(api::Empty::default())
    }

    async fn shutdown(
        &self,
        _: &TtrpcContext,
        _: api::ShutdownRequest,
    ) -> ttrpc::Result<api::Empty> {
        // `now` changes nothing, as for runc's shim: running containers stay.
        self.tasks.shut_down();
        Ok(api::Empty::default())
    }

    async fn pause(
        &self,
        _: &TtrpcContext,
        request: api::PauseRequest,
    ) -> ttrpc::Result<api::Empty> {
        let container = answer("Pause", self.tasks.get(&request.id))?;
        answer("Pause", container.pause().await)?;
        Ok(api::Empty::default())
    }

    async fn resume(
        &self,
        _: &TtrpcContext,
        request: api::ResumeRequest,
    ) -> ttrpc::Result<api::Empty> {
        let container = answer("Resume", self.tasks.get(&request.id))?;
        answer("Resume", container.resume())?;
        Ok(api::Empty::default())
    }

    async fn exec(
        &self,
        _: &TtrpcContext,
        request: api::ExecProcessRequest,
    ) -> ttrpc::Result<api::Empty> {
        let container = answer("Exec", self.tasks.get(&request.id))?;
        let spec = request.spec.into_option().unwrap_or_default();
        answer("Exec", exec::check(&spec.value))?;
        let request = ExecRequest {
            id: request.id,
            exec_id: request.exec_id,
            stdio: StdioPaths {
                stdin: request.stdin,
                stdout: request.stdout,
                stderr: request.stderr,
                terminal: request.terminal,
            },
            spec: spec.value,
        };
        answer("Exec", container.add_exec(request))?;
        Ok(api::Empty::default())
    }

    async fn resize_pty(
        &self,
        _: &TtrpcContext,
        request: api::ResizePtyRequest,
    ) -> ttrpc::Result<api::Empty> {
        let target = answer("ResizePty", self.process(&request.id, &request.exec_id))?;
        answer("ResizePty", target.resize(request.width, request.height))?;
        Ok(api::Empty::default())
    }

    async fn update(
        &self,
        _: &TtrpcContext,
        request: api::UpdateTaskRequest,
    ) -> ttrpc::Result<api::Empty> {
        let resources = request.resources.into_option().unwrap_or_default();
        let updated = self
            .to_the_end(|tasks| async move { tasks.update(&request.id, &resources.value).await })
            .await;
        answer("Update", updated)?;
        Ok(api::Empty::default())
    }

    async fn checkpoint(
        &self,
        _: &TtrpcContext,
        _: api::CheckpointTaskRequest,
    ) -> ttrpc::Result<api::Empty> {
        answer("Checkpoint", Err(Error::Unimplemented("checkpoint")))
    }
}

fn state(target: &Target) -> api::StateResponse {
    let Target { container, exec } = target;
    let process = target.process();
    let mut state = api::StateResponse {
        id: container.id().to_owned(),
        exec_id: exec
            .as_ref()
            .map(|exec| exec.id.clone())
            .unwrap_or_default(),
        bundle: container.bundle().display().to_string(),
        pid: process.pid(),
        stdin: process.stdio.stdin.clone(),
        stdout: process.stdio.stdout.clone(),
        stderr: process.stdio.stderr.clone(),
        terminal: process.stdio.terminal,
        ..Default::default()
    };
    match process.status() {
        Status::Created => state.set_status(api::Status::CREATED),
        Status::Running if container.is_paused() => state.set_status(api::Status::PAUSED),
        Status::Running => state.set_status(api::Status::RUNNING),
        Status::Stopped(Exit { status, at }) => {
            state.set_status(api::Status::STOPPED);
            state.exit_status = status;
            state.exited_at = MessageField::some(timestamp(at));
        }
    }
    state
}

/// A pid, and by which id containerd knows it, if it was added.
fn process_info(container: &Container, pid: u32) -> api::ProcessInfo {
    let details = container.exec_id_of(pid).and_then(|exec_id| {
        any(&ProcessDetails {
            exec_id,
            ..Default::default()
        })
        .ok()
    });
    api::ProcessInfo {
        pid,
        info: details.into(),
        ..Default::default()
    }
}

/// The boundary of the service: an error is logged here, once, and goes to
/// containerd with its code.
fn answer<T>(method: &str, result: Result<T>) -> ttrpc::Result<T> {
    result.map_err(|error| {
        log::debug!("{method}: {error}");
        ttrpc::Error::RpcStatus(ttrpc::get_status(code(&error), error))
    })
}

/// The codes that containerd, its CRI plugin and Docker tell errors apart by.
fn code(error: &Error) -> Code {
    match error {
        // CRI's stop takes a process that is gone for stopped only so.
        Error::NoTask(_) | Error::NoProcess { .. } | Error::Exited(_) => Code::NOT_FOUND,
        Error::Oci(error) if error.is_not_found() => Code::NOT_FOUND,
        Error::Exists(_) => Code::ALREADY_EXISTS,
        Error::WrongState { .. } => Code::FAILED_PRECONDITION,
        Error::Unimplemented(_) => Code::UNIMPLEMENTED,
        Error::Invalid(_) | Error::Oci(_) | Error::Protobuf(_) => Code::INVALID_ARGUMENT,
        _ => Code::UNKNOWN,
    }
}
