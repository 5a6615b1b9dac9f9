use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use containerd_shim_protos::api::{
    DeleteRequest, DeleteResponse, Empty, ExecProcessRequest, KillRequest, StartRequest,
    StartResponse, StateRequest, StateResponse, WaitRequest, WaitResponse,
};
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::{Message, MessageField};
use containerd_shim_protos::ttrpc::Code;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use shim_test::containerd::Containerd;
use shim_test::guest_image::{self, GUEST, NATIVE};
use shim_test::task::{Answer, Shim};
use shim_test::{bundle, cgroup, paths, wait};

/// One of the two shims, with a container that keeps it there.
pub struct Subject<'a> {
    pub containerd: &'a Containerd,
    pub shim: Shim,
    pub host: String,
    runtime: &'static str,
    made: Cell<u32>,
    last: RefCell<Vec<String>>,
}

/// A container to be, on that shim.
pub struct Container<'a> {
    pub subject: &'a Subject<'a>,
    pub id: String,
    pub folder: PathBuf,
}

impl<'a> Subject<'a> {
    pub fn new(containerd: &'a Containerd, runtime: &'static str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let host = format!("host{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let line = ["run", "--detach", "--null-io", "--runtime", runtime];
        let line: Vec<&str> = line
            .into_iter()
            .chain([guest_image::NAME, &host, NATIVE, "pause"])
            .collect();
        containerd.ctr.call(&line).success();
        Self {
            containerd,
            shim: Shim::of(containerd, &host),
            host,
            runtime,
            made: Cell::new(0),
            last: RefCell::default(),
        }
    }

    pub fn is_served(&self) -> bool {
        let path = self.shim.address.trim_start_matches("unix://");
        UnixStream::connect(path).is_ok()
    }

    pub fn end(&self) {
        if self.is_served() {
            for id in self.last.borrow().iter() {
                // Gone already, but where a row has left it.
                remove(&self.shim, id);
            }
        }
        self.containerd.ctr.remove(&self.host);
        // Of a shim that is gone.
        for id in self.last.borrow().iter() {
            let group = format!("/{}/{id}", self.containerd.namespace());
            for folder in cgroup::folders(&group) {
                kill_all(&folder);
                wait::until_clean(Duration::from_secs(10), || {
                    let removed = fs::remove_dir(&folder);
                    removed
                        .err()
                        .map(|error| format!("{}: {error}", folder.display()))
                });
            }
        }
    }

    /// A bundle of the guest with these arguments.
    pub fn container(&'a self, args: &[&str]) -> Container<'a> {
        self.container_of(args, |_| {})
    }

    pub fn container_of(&'a self, args: &[&str], change: impl FnOnce(&mut Value)) -> Container<'a> {
        self.made.set(self.made.get() + 1);
        let id = format!("c{}-{}", self.made.get(), self.host);
        let folder = self.containerd.folder().join("files").join(&id);
        fs::create_dir_all(&folder).expect("a folder in the sandbox's /run");
        let root = bundle::root_fs(&folder);
        if self.runtime != paths::WASM {
            let to = root.join(&GUEST[1..]);
            fs::copy(paths::guest("guest.native"), to).expect("the native guest");
        }
        let args: Vec<&str> = [GUEST].iter().chain(args).copied().collect();
        let group = format!("/{}/{id}", self.containerd.namespace());
        let mut spec = bundle::spec(&root, &args, &group);
        change(&mut spec);
        bundle::write(&folder, &spec);
        self.last.borrow_mut().push(id.clone());
        Container {
            subject: self,
            id,
            folder,
        }
    }

    /// One that runs and does nothing.
    pub fn running(&'a self) -> Container<'a> {
        let container = self.container(&["sleep"]);
        container.create().expect("Create");
        container.start().expect("Start");
        container
    }

    /// One that has ended with this code.
    pub fn ended(&'a self, code: u32) -> Container<'a> {
        let container = self.container(&["exit", &code.to_string()]);
        container.create().expect("Create");
        container.start().expect("Start");
        container.shim().wait(&container.id).expect("Wait");
        container
    }
}

impl Container<'_> {
    pub fn shim(&self) -> &Shim {
        &self.subject.shim
    }

    pub fn create(&self) -> Answer<u32> {
        let none = [Path::new(""); 3];
        let created = self.shim().create(&self.id, &self.folder, none);
        created.map(|created| created.pid)
    }

    pub fn start(&self) -> Answer<u32> {
        self.shim().start(&self.id).map(|started| started.pid)
    }

    /// Ends it, however it is, and removes it.
    pub fn remove(&self) {
        remove(self.shim(), &self.id);
    }

    /// Adds a process of the guest's program with these arguments.
    pub fn exec(&self, exec_id: &str, args: &[&str]) -> Answer<Empty> {
        let args: Vec<&str> = [GUEST].iter().chain(args).copied().collect();
        self.exec_spec(exec_id, &process(&args).to_string())
    }

    pub fn exec_spec(&self, exec_id: &str, spec: &str) -> Answer<Empty> {
        let spec = Any {
            type_url: "types.containerd.io/opencontainers/runtime-spec/1/Process".into(),
            value: spec.as_bytes().to_vec(),
            ..Default::default()
        };
        let request = ExecProcessRequest {
            id: self.id.clone(),
            exec_id: exec_id.into(),
            spec: MessageField::some(spec),
            ..Default::default()
        };
        self.shim().call("Exec", &request)
    }

    pub fn start_exec(&self, exec_id: &str) -> Answer<StartResponse> {
        let mut request = StartRequest::new();
        (request.id, request.exec_id) = (self.id.clone(), exec_id.into());
        self.shim().call("Start", &request)
    }

    pub fn state_of(&self, exec_id: &str) -> Answer<StateResponse> {
        let mut request = StateRequest::new();
        (request.id, request.exec_id) = (self.id.clone(), exec_id.into());
        self.shim().call("State", &request)
    }

    pub fn wait_of(&self, exec_id: &str) -> Answer<WaitResponse> {
        let mut request = WaitRequest::new();
        (request.id, request.exec_id) = (self.id.clone(), exec_id.into());
        self.shim().call("Wait", &request)
    }

    pub fn delete_of(&self, exec_id: &str) -> Answer<DeleteResponse> {
        let mut request = DeleteRequest::new();
        (request.id, request.exec_id) = (self.id.clone(), exec_id.into());
        self.shim().call("Delete", &request)
    }

    pub fn kill_of(&self, exec_id: &str, signal: u32, all: bool) -> Answer<Empty> {
        let mut request = KillRequest::new();
        (request.id, request.exec_id) = (self.id.clone(), exec_id.into());
        (request.signal, request.all) = (signal, all);
        self.shim().call("Kill", &request)
    }

    /// A method that has only the container's id, or also an exec's.
    pub fn call<Q: Message>(&self, method: &str, request: &Q) -> Answer<Empty> {
        self.shim().call(method, request)
    }

    /// The topics of the container's events, waited for up to this one.
    pub fn events_up_to(&self, last: &str) -> String {
        wait::until_clean(Duration::from_secs(20), || {
            let topics = self.topics();
            (!topics.iter().any(|topic| topic == last)).then(|| format!("{topics:?}"))
        });
        self.topics().join(", ")
    }

    /// Whether such an event comes within a few seconds.
    pub fn tells_of(&self, event: &str) -> bool {
        let told = |_| {
            thread::sleep(Duration::from_millis(100));
            self.topics().iter().any(|topic| topic == event)
        };
        (0..50).any(told)
    }

    fn topics(&self) -> Vec<String> {
        let events = self.subject.containerd.events().of(&self.id);
        let names = events.iter().map(|event| event.topic.clone());
        names
            .map(|topic| topic.trim_start_matches("/tasks/").to_owned())
            .collect()
    }
}

fn kill_all(group: &Path) {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let pids = text.lines().filter_map(|line| line.parse().ok());
    for pid in pids.filter_map(Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn remove(shim: &Shim, id: &str) {
    wait::until_clean(Duration::from_secs(10), || {
        // Which of the two is refused depends on how far it has come.
        drop(shim.kill(id, 9));
        match shim.delete(id) {
            Ok(_) | Err((Code::NOT_FOUND, _)) => None,
            Err((code, sentence)) => Some(format!("{id}: {code:?} {sentence}")),
        }
    });
}

/// A `process` of the OCI runtime spec, root's.
pub fn process(args: &[&str]) -> Value {
    json!({"user": {"uid": 0, "gid": 0}, "args": args, "env": ["PATH=/bin"], "cwd": "/"})
}

/// "ok", or the code of the refusal.
pub fn code<T>(answer: Answer<T>) -> String {
    told(answer, |_| "ok".into())
}

/// What `tell` says of the answer, or the code of the refusal.
pub fn told<T>(answer: Answer<T>, tell: impl FnOnce(T) -> String) -> String {
    match answer {
        Ok(answer) => tell(answer),
        Err((code, _)) => name(code),
    }
}

fn name(code: Code) -> String {
    format!("{code:?}")
}
