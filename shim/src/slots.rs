use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::container::Container;
use crate::end::End;
use crate::error::{Error, Result};

/// The containers of one shim by id.
#[derive(Debug)]
pub struct Slots {
    state: Mutex<State>,
    end: Arc<End>,
}

#[derive(Debug, Default)]
struct State {
    slots: HashMap<String, Slot>,
    /// containerd has wanted the shim to end when nothing but containers that
    /// come or go was left.
    ends_when_empty: bool,
}

#[derive(Debug)]
enum Slot {
    /// Being created or deleted: the id is taken, but nothing can be asked. The
    /// sender is gone when that is done.
    Busy(watch::Receiver<()>),
    Ready(Arc<Container>),
}

impl Slots {
    /// `end` is decided when the shim is not needed any more.
    pub fn new(end: Arc<End>) -> Self {
        Self {
            state: Mutex::default(),
            end,
        }
    }

    pub fn get(&self, id: &str) -> Result<Arc<Container>> {
        match self.state().slots.get(id) {
            Some(Slot::Ready(container)) => Ok(Arc::clone(container)),
            _ => Err(Error::NoTask(id.to_owned())),
        }
    }

    /// As [`Slots::get`], after what is being done with this id is done.
    pub async fn get_settled(&self, id: &str) -> Result<Arc<Container>> {
        loop {
            let mut busy = match self.state().slots.get(id) {
                Some(Slot::Ready(container)) => return Ok(Arc::clone(container)),
                Some(Slot::Busy(busy)) => busy.clone(),
                None => return Err(Error::NoTask(id.to_owned())),
            };
            // An error: the sender was dropped, which is what is waited for.
            let _ = busy.changed().await;
        }
    }

    /// Takes an id that is free.
    pub fn claim_new(&self, id: &str) -> Result<Claim<'_>> {
        let mut state = self.state();
        if state.slots.contains_key(id) {
            return Err(Error::Exists(id.to_owned()));
        }
        Ok(self.claim_in(&mut state, id))
    }

    /// Takes a container out of the reach of others, unless another did.
    pub fn claim(&self, container: &Arc<Container>) -> Result<Claim<'_>> {
        let id = container.id();
        let mut state = self.state();
        match state.slots.get(id) {
            Some(Slot::Ready(found)) if Arc::ptr_eq(found, container) => {
                Ok(self.claim_in(&mut state, id))
            }
            _ => Err(Error::NoTask(id.to_owned())),
        }
    }

    fn claim_in(&self, state: &mut State, id: &str) -> Claim<'_> {
        let (busy, waiting) = watch::channel(());
        state.slots.insert(id.to_owned(), Slot::Busy(waiting));
        Claim {
            slots: self,
            id: id.to_owned(),
            _busy: busy,
        }
    }

    /// Ends the shim, now or when those containers are gone that are being
    /// created or deleted; not while there are others.
    pub fn end_when_empty(&self) {
        let mut state = self.state();
        if state
            .slots
            .values()
            .any(|slot| matches!(slot, Slot::Ready(_)))
        {
            return;
        }
        state.ends_when_empty = true;
        self.end_if_empty(&state);
    }

    fn end_if_empty(&self, state: &State) {
        if state.ends_when_empty && state.slots.is_empty() {
            self.end.decide();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An id that is taken while something is done with it. Free again when this is
/// dropped, whatever happened.
#[derive(Debug)]
pub struct Claim<'a> {
    slots: &'a Slots,
    id: String,
    _busy: watch::Sender<()>,
}

impl Claim<'_> {
    /// Gives the id to a container.
    pub fn put(self, container: Arc<Container>) {
        let ready = Slot::Ready(container);
        self.slots.state().slots.insert(self.id.clone(), ready);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        if let Some(Slot::Busy(_)) = state.slots.get(&self.id) {
            state.slots.remove(&self.id);
            self.slots.end_if_empty(&state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn has_ended(end: &End) -> bool {
        tokio::time::timeout(Duration::from_millis(50), end.decided())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn an_id_is_free_again_when_its_claim_is_dropped() {
        let end = Arc::new(End::new(None));
        let slots = Slots::new(Arc::clone(&end));
        let claim = slots.claim_new("a").unwrap();
        assert!(matches!(slots.claim_new("a"), Err(Error::Exists(_))));
        assert!(matches!(slots.get("a"), Err(Error::NoTask(_))));
        let waiting = slots.get_settled("a");
        let dropping = async { drop(claim) };
        let (found, ()) = tokio::join!(waiting, dropping);
        assert!(matches!(found, Err(Error::NoTask(_))));
        drop(slots.claim_new("a").unwrap());
        assert!(!has_ended(&end).await, "nobody wanted it");
    }

    #[tokio::test]
    async fn the_end_waits_for_what_is_being_done() {
        let end = Arc::new(End::new(None));
        let slots = Slots::new(Arc::clone(&end));
        let claim = slots.claim_new("a").unwrap();
        slots.end_when_empty();
        assert!(!has_ended(&end).await);
        drop(claim);
        assert!(has_ended(&end).await);
    }

    #[tokio::test]
    async fn an_empty_shim_ends_at_once() {
        let end = Arc::new(End::new(None));
        Slots::new(Arc::clone(&end)).end_when_empty();
        assert!(has_ended(&end).await);
    }
}
