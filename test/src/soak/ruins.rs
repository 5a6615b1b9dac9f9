use std::collections::HashSet;
use std::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What was broken on purpose: of these containers anything may be said.
#[derive(Debug, Default)]
pub struct Ruins {
    containers: Mutex<HashSet<String>>,
    /// How often containerd was killed; held while it is away.
    containerd: RwLock<u32>,
}

impl Ruins {
    pub fn add(&self, id: &str) {
        let mut containers = self.containers.lock().expect("no holder panics");
        containers.insert(id.into());
    }

    /// Whether it was among them; the id is free again.
    pub fn take(&self, id: &str) -> bool {
        let mut containers = self.containers.lock().expect("no holder panics");
        containers.remove(id)
    }

    /// How often containerd was killed; waits while it is away.
    pub fn containerd_deaths(&self) -> u32 {
        *self.deaths()
    }

    fn deaths(&self) -> RwLockReadGuard<'_, u32> {
        self.containerd.read().expect("no holder panics")
    }

    /// To be held from the death of containerd until it is back.
    pub fn containerd_dies(&self) -> RwLockWriteGuard<'_, u32> {
        let mut deaths = self.containerd.write().expect("no holder panics");
        *deaths += 1;
        deaths
    }
}
