//! One version of a server in a test run: started by the first test that needs
//! it, ended after the last, one version after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::leak::Snapshot;

/// What tests share: containerd, or Docker with one. Dropping it ends it.
pub trait Server: Sized {
    type Version;
    /// What one test is given.
    type Case: Case;

    fn start(version: &Self::Version) -> Self;
    fn name(version: &Self::Version) -> &str;
    /// The cgroup above those of all containers, from a hierarchy's root.
    fn group(&self) -> &str;
    fn case(self: &Arc<Self>, test: &str) -> Self::Case;
}

/// One test: its containers and its folders.
pub trait Case {
    /// Panics when a container is still there, or a trace of one that is gone.
    fn assert_clean(&self);
    /// Removes what is left of the test's containers, after a failure.
    fn remove_all(&self);
    /// What the servers logged of this test.
    fn log(&self) -> String;
    /// Removes the test's folders.
    fn remove_folders(&self);
}

/// A version's shared server and the count of tests that still want it.
#[derive(Debug)]
pub struct Instance<S: Server> {
    pub version: S::Version,
    previous: Option<Arc<Instance<S>>>,
    state: Mutex<State<S>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<S> {
    running: Option<(Arc<S>, Snapshot)>,
    /// Tests that are to run and are not done.
    tests: usize,
    /// Whether the search for leaks is to run and is not done.
    last_check: bool,
}

impl<S: Server> Instance<S> {
    /// Its tests wait until `previous` is over, so that what is left behind can
    /// only be of one version.
    pub fn new(version: S::Version, previous: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self {
            version,
            previous,
            state: Mutex::new(State {
                running: None,
                tests: 0,
                last_check: false,
            }),
            changed: Condvar::new(),
        })
    }

    /// Says which tests will come. Each must then be run.
    pub fn expect(&self, tests: usize, last_check: bool) {
        let mut state = self.lock();
        (state.tests, state.last_check) = (tests, last_check);
    }

    pub fn name(&self) -> &str {
        S::name(&self.version)
    }

    /// Runs one test, and returns what went wrong with the server's log.
    pub fn test(&self, name: &str, test: impl FnOnce(&S::Case)) -> Result<(), String> {
        let result = match catch(|| self.server()) {
            Ok(server) => run(&server.case(name), test),
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

    /// Waits for the last test, ends the server and looks for what it left.
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
            // With no test selected there is nothing to check but an idle server.
            let (server, before) = running.unwrap_or_else(|| {
                let before = Snapshot::take();
                (Arc::new(S::start(&self.version)), before)
            });
            let group = server.group().to_owned();
            drop(server);
            before.assert_nothing_new(&group);
        });
        self.lock().last_check = false;
        self.changed.notify_all();
        result
    }

    fn server(&self) -> Arc<S> {
        if let Some(previous) = &self.previous {
            previous.wait_until_over();
        }
        let mut state = self.lock();
        let version = &self.version;
        let (server, _) = state.running.get_or_insert_with(|| {
            let before = Snapshot::take();
            (Arc::new(S::start(version)), before)
        });
        Arc::clone(server)
    }

    fn wait_until_over(&self) {
        let waiting = self.lock();
        let busy = |state: &mut State<S>| state.tests > 0 || state.last_check;
        drop(
            self.changed
                .wait_while(waiting, busy)
                .unwrap_or_else(PoisonError::into_inner),
        );
        if let Some(previous) = &self.previous {
            previous.wait_until_over();
        }
    }

    /// A server that did not start poisons the lock: the next test tries anew.
    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run<C: Case>(case: &C, test: impl FnOnce(&C)) -> Result<(), String> {
    let result = catch(|| test(case)).and_then(|()| catch(|| case.assert_clean()));
    let result = result.map_err(|message| {
        drop(catch(|| case.remove_all()));
        format!(
            "{message}\n--- what was logged of this test\n{}",
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
