//! Notes when the steps of a container's start are done, if that is wanted.
//! Launcher and init process have one thread and a list each.

use std::cell::RefCell;

use ipc::Phase;

thread_local! {
    static PHASES: RefCell<Option<Vec<Phase>>> = const { RefCell::new(None) };
}

/// Notes what comes from now on.
pub fn begin() {
    PHASES.set(Some(vec![Phase::done("begin")]));
}

pub fn done(what: &str) {
    PHASES.with_borrow_mut(|phases| {
        if let Some(phases) = phases {
            phases.push(Phase::done(what));
        }
    });
}

/// Adds the steps of another process, which are over.
pub fn add(others: Vec<Phase>) {
    PHASES.with_borrow_mut(|phases| {
        if let Some(phases) = phases {
            phases.extend(others);
        }
    });
}

/// All steps so far; those that follow begin a list of their own.
pub fn take() -> Vec<Phase> {
    PHASES.with_borrow_mut(|phases| phases.as_mut().map(std::mem::take).unwrap_or_default())
}
