//! The task service: containerd's messages on the one side, [`Tasks`] on the
//! other. Nothing of protobuf goes further in than this.

use std::sync::Arc;

use async_trait::async_trait;
use containerd_shim_protos::api;
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::shim_async::Task;
use containerd_shim_protos::ttrpc::r#async::TtrpcContext;
use containerd_shim_protos::ttrpc::{self, Code};

use crate::container::{Container, Exit, Status};
use crate::error::{Error, Result};
use crate::message::timestamp;
use crate::metrics;
use crate::options::RuntimeOptions;
use crate::rootfs::Mount;
use crate::signal::signal;
use crate::stdio::StdioPaths;
use crate::tasks::{CreateRequest, Tasks};

/// Answers containerd's calls (containerd.task.v2.Task, which v3 repeats).
pub struct Service {
    pub tasks: Arc<Tasks>,
}

impl Service {
    /// Only the first process of a task exists in this release.
    fn first_process(&self, id: &str, exec_id: &str) -> Result<Arc<Container>> {
        let container = self.tasks.get(id)?;
        if exec_id.is_empty() {
            Ok(container)
        } else {
            Err(Error::NoProcess {
                id: id.to_owned(),
                exec: exec_id.to_owned(),
            })
        }
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

    async fn do_create(&self, request: api::CreateTaskRequest) -> Result<u32> {
        if request.terminal {
            return Err(Error::Unimplemented("a terminal (-t)"));
        }
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
            },
            options: RuntimeOptions::parse(request.options.as_ref())?,
        };
        self.to_the_end(|tasks| async move { tasks.create(request).await })
            .await
    }
}

#[async_trait]
impl Task for Service {
    async fn state(
        &self,
        _: &TtrpcContext,
        request: api::StateRequest,
    ) -> ttrpc::Result<api::StateResponse> {
        let container = answer("State", self.first_process(&request.id, &request.exec_id))?;
        Ok(state(&container))
    }

    async fn create(
        &self,
        _: &TtrpcContext,
        request: api::CreateTaskRequest,
    ) -> ttrpc::Result<api::CreateTaskResponse> {
        let pid = answer("Create", self.do_create(request).await)?;
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
        answer("Start", self.first_process(&request.id, &request.exec_id))?;
        let pid = self
            .to_the_end(|tasks| async move { tasks.start(&request.id).await })
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
        if !request.exec_id.is_empty() {
            answer("Delete", self.first_process(&request.id, &request.exec_id))?;
        }
        let deleted = self
            .to_the_end(|tasks| async move { tasks.delete(&request.id).await })
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
            .map(|pid| api::ProcessInfo {
                pid,
                ..Default::default()
            });
        Ok(api::PidsResponse {
            processes: processes.collect(),
            ..Default::default()
        })
    }

    async fn kill(&self, _: &TtrpcContext, request: api::KillRequest) -> ttrpc::Result<api::Empty> {
        answer("Kill", self.first_process(&request.id, &request.exec_id))?;
        let signal = answer("Kill", signal(request.signal))?;
        answer("Kill", self.tasks.kill(&request.id, signal, request.all))?;
        Ok(api::Empty::default())
    }

    async fn wait(
        &self,
        _: &TtrpcContext,
        request: api::WaitRequest,
    ) -> ttrpc::Result<api::WaitResponse> {
        answer("Wait", self.first_process(&request.id, &request.exec_id))?;
        let exit = answer("Wait", self.tasks.wait(&request.id).await)?;
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
        let task_pid = self.tasks.get(&request.id).map_or(0, |task| task.pid);
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
        answer("CloseIO", self.first_process(&request.id, &request.exec_id))?;
        if request.stdin {
            answer("CloseIO", self.tasks.close_stdin(&request.id))?;
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

    async fn pause(&self, _: &TtrpcContext, _: api::PauseRequest) -> ttrpc::Result<api::Empty> {
        answer("Pause", Err(Error::Unimplemented("pause")))
    }

    async fn resume(&self, _: &TtrpcContext, _: api::ResumeRequest) -> ttrpc::Result<api::Empty> {
        answer("Resume", Err(Error::Unimplemented("resume")))
    }

    async fn exec(
        &self,
        _: &TtrpcContext,
        _: api::ExecProcessRequest,
    ) -> ttrpc::Result<api::Empty> {
        answer("Exec", Err(Error::Unimplemented("exec")))
    }

    async fn resize_pty(
        &self,
        _: &TtrpcContext,
        _: api::ResizePtyRequest,
    ) -> ttrpc::Result<api::Empty> {
        answer("ResizePty", Err(Error::Unimplemented("a terminal (-t)")))
    }

    async fn update(
        &self,
        _: &TtrpcContext,
        _: api::UpdateTaskRequest,
    ) -> ttrpc::Result<api::Empty> {
        answer("Update", Err(Error::Unimplemented("update")))
    }

    async fn checkpoint(
        &self,
        _: &TtrpcContext,
        _: api::CheckpointTaskRequest,
    ) -> ttrpc::Result<api::Empty> {
        answer("Checkpoint", Err(Error::Unimplemented("checkpoint")))
    }
}

fn state(container: &Container) -> api::StateResponse {
    let mut state = api::StateResponse {
        id: container.id().to_owned(),
        bundle: container.bundle().display().to_string(),
        pid: container.pid,
        stdin: container.stdio.stdin.clone(),
        stdout: container.stdio.stdout.clone(),
        stderr: container.stdio.stderr.clone(),
        ..Default::default()
    };
    match container.status() {
        Status::Created => state.set_status(api::Status::CREATED),
        Status::Running => state.set_status(api::Status::RUNNING),
        Status::Stopped(Exit { status, at }) => {
            state.set_status(api::Status::STOPPED);
            state.exit_status = status;
            state.exited_at = MessageField::some(timestamp(at));
        }
    }
    state
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
        Error::Exists(_) => Code::ALREADY_EXISTS,
        Error::WrongState { .. } => Code::FAILED_PRECONDITION,
        Error::Unimplemented(_) => Code::UNIMPLEMENTED,
        Error::Invalid(_) | Error::Oci(_) | Error::Protobuf(_) => Code::INVALID_ARGUMENT,
        _ => Code::UNKNOWN,
    }
}
