//! Tests run together; one that disturbs the node waits until it is alone.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    together: usize,
    /// Those who want to be alone: nobody comes in before them.
    waiting: usize,
    alone: bool,
}

impl Turns {
    pub fn enter(&self) {
        let mut state = self.wait(|state| state.alone || state.waiting > 0);
        state.together += 1;
    }

    pub fn leave(&self) {
        self.lock().together -= 1;
        self.changed.notify_all();
    }

    /// For one who has entered: runs `disturb` while no other test runs.
    pub fn alone(&self, disturb: impl FnOnce()) {
        self.lock().waiting += 1;
        self.leave();
        let mut state = self.wait(|state| state.alone || state.together > 0);
        state.waiting -= 1;
        state.alone = true;
        drop(state);
        let _turn = Alone(self);
        disturb();
    }

    fn wait(&self, busy: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        self.changed
            .wait_while(self.lock(), |state| busy(state))
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn of one alone, who is among the others again at its end.
struct Alone<'a>(&'a Turns);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.alone = false;
        state.together += 1;
        drop(state);
        self.0.changed.notify_all();
    }
}
