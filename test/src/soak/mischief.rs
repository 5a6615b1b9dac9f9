use std::thread;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::{Shared, watch};
use crate::containerd::Containerd;
use crate::processes::{self, Process};

/// Breaks something from time to time.
#[derive(Debug)]
pub struct Mischief {
    namespace: String,
    /// The shim that is to stay.
    spared: u32,
    random: Rng,
}

impl Mischief {
    pub fn new(namespace: &str, spared: u32, random: Rng) -> Self {
        Self {
            namespace: namespace.into(),
            spared,
            random,
        }
    }

    /// Waits for a while, then breaks one thing; what all rest on only `early`.
    pub fn do_one(&mut self, containerd: &mut Containerd, shared: &Shared, early: bool) {
        thread::sleep(Duration::from_millis(self.random.u64(200..1500)));
        match self.random.u32(0..40) {
            0 if early => self.kill_containerd(containerd, shared),
            1..=3 if early => self.kill_zygote(shared),
            0..=15 => self.kill_shim(shared),
            16..=27 => self.kill_launcher(shared),
            _ => self.kill_guest(shared),
        }
    }

    fn kill_containerd(&mut self, containerd: &mut Containerd, shared: &Shared) {
        let _away = shared.ruins.containerd_dies();
        containerd.kill();
        thread::sleep(Duration::from_millis(self.random.u64(0..1000)));
        containerd.restart();
        shared
            .tally
            .fault("fault: containerd killed and restarted", "all");
    }

    fn kill_zygote(&self, shared: &Shared) {
        if let Some(zygote) = watch::zygote() {
            kill(zygote);
            shared.tally.fault("fault: zygote killed", "all");
        }
    }

    fn kill_shim(&mut self, shared: &Shared) {
        let mut shims = processes::shims(&self.namespace);
        shims.retain(|shim| shim.pid != self.spared);
        // Not those that containerd has just called to start or delete.
        shims.retain(|shim| !shim.command_line.contains("-publish-binary"));
        let Some(shim) = self.random.choice(shims) else {
            return;
        };
        let mut words = shim.command_line.split_whitespace();
        if let Some(id) = words.find(|word| *word == "-id").and_then(|_| words.next()) {
            shared.ruins.add(id);
            kill(shim.pid);
            shared.tally.fault("fault: shim killed", id);
        }
    }

    fn kill_launcher(&mut self, shared: &Shared) {
        let named = self.named("wasm-launcher");
        // The launcher holds the lock of its container's state.
        let id = |process: &Process| {
            let open = processes::descriptors_if_alive(process.pid);
            let lock = open
                .into_iter()
                .find(|(_, path)| path.ends_with("launch/lock"))?;
            let bundle = lock.1.parent()?.parent()?;
            Some(bundle.file_name()?.to_string_lossy().into_owned())
        };
        let found = named
            .iter()
            .find_map(|process| Some((process.pid, id(process)?)));
        if let Some((pid, id)) = found {
            shared.ruins.add(&id);
            kill(pid);
            shared.tally.fault("fault: launcher killed", &id);
        }
    }

    fn kill_guest(&mut self, shared: &Shared) {
        let guests = self.named("guest");
        let Some(guest) = self.random.choice(guests) else {
            return;
        };
        let path = processes::proc(guest.pid).join("cgroup");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let prefix = format!("/{}/", self.namespace);
        let id = text
            .lines()
            .find_map(|line| Some(line.split_once(&prefix)?.1.to_owned()));
        if let Some(id) = id.filter(|id| !id.contains("anchor")) {
            shared.ruins.add(&id);
            kill(guest.pid);
            shared.tally.fault("fault: guest killed", &id);
        }
    }

    fn named(&self, name: &str) -> Vec<Process> {
        let mut all = processes::all();
        all.retain(|process| processes::name(process.pid).as_deref() == Some(name));
        all
    }
}

fn kill(pid: u32) {
    // It may have ended meanwhile.
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}
