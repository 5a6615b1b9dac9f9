//! One containerd version in a test run: started by the first test that needs
//! it, ended after the last, one version after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::case::Case;
use crate::containerd::Containerd;
use crate::leak::Snapshot;
use crate::versions::Version;

/// A version's shared containerd and the count of tests that still want it.
#[derive(Debug)]
pub struct Instance {
    pub version: Version,
    previous: Option<Arc<Instance>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: Option<(Arc<Containerd>, Snapshot)>,
    /// Tests that are to run and are not done.
    tests: usize,
    /// Whether the search for leaks is to run and is not done.
    last_check: bool,
}

impl Instance {
    /// Its tests wait until `previous` is over, so that what is left behind can
    /// only be of one version.
    pub fn new(version: Version, previous: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self {
            version,
            previous,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Says which tests will come. Each must then be run.
    pub fn expect(&self, tests: usize, last_check: bool) {
        let mut state = self.lock();
        (state.tests, state.last_check) = (tests, last_check);
    }

    /// Runs one test, and returns what went wrong with containerd's log.
    pub fn test(&self, name: &str, test: impl FnOnce(&Case)) -> Result<(), String> {
        let result = match catch(|| self.containerd()) {
            Ok(containerd) => run(&Case::new(containerd, name), test),
            Err(message) => Err(message),
        };
        let mut state = self.lock();
        state.tests -= 1;
        if state.tests == 0 && !state.last_check {
            state.running = None;
        }
        self.changed.notify_all();
        result
    }

    /// Waits for the last test, ends containerd and looks for what it left.
    pub fn check_nothing_left(&self) -> Result<(), String> {
        let result = catch(|| {
            let running = {
                let waiting = self.lock();
                let mut state = self
                    .changed
                    .wait_while(waiting, |state| state.tests > 0)
                    .expect("no holder panics");
                state.running.take()
            };
            // With no test selected there is nothing to check but an idle containerd.
            let (containerd, before) = running.unwrap_or_else(|| {
                let before = Snapshot::take();
                (Arc::new(Containerd::shared(&self.version)), before)
            });
            let namespace = containerd.namespace().to_owned();
            drop(containerd);
            before.assert_nothing_new(&namespace);
        });
        self.lock().last_check = false;
        self.changed.notify_all();
        result
    }

    fn containerd(&self) -> Arc<Containerd> {
        if let Some(previous) = &self.previous {
            previous.wait_until_over();
        }
        let mut state = self.lock();
        let version = &self.version;
        let (containerd, _) = state.running.get_or_insert_with(|| {
            let before = Snapshot::take();
            (Arc::new(Containerd::shared(version)), before)
        });
        Arc::clone(containerd)
    }

    fn wait_until_over(&self) {
        let waiting = self.lock();
        let busy = |state: &mut State| state.tests > 0 || state.last_check;
        drop(
            self.changed
                .wait_while(waiting, busy)
                .unwrap_or_else(PoisonError::into_inner),
        );
        if let Some(previous) = &self.previous {
            previous.wait_until_over();
        }
    }

    /// A containerd that did not start poisons the lock: the next test tries anew.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(case: &Case, test: impl FnOnce(&Case)) -> Result<(), String> {
    let result = catch(|| test(case)).and_then(|()| catch(|| case.assert_clean()));
    let result = result.map_err(|message| {
        drop(catch(|| case.remove_all()));
        format!(
            "{message}\n--- containerd's log of this test\n{}",
            case.log()
        )
    });
    case.remove_folders();
    result
}

fn catch<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).into()))
            .unwrap_or_else(|| "panic".into())
    })
}
