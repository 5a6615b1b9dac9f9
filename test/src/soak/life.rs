use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use fastrand::Rng;

use super::Shared;
use crate::command::Output;
use crate::containerd::Containerd;
use crate::ctr::{self, Ctr};
use crate::guest_image::{self, GUEST, NATIVE};
use crate::live::Live;
use crate::task::Shim;
use crate::{paths, pattern};

/// The pod whose shim stays for the whole run.
const ANCHOR: &str = "anchor";

/// Starts it; returns the pid of its shim.
pub fn anchor(containerd: &Containerd) -> u32 {
    let mut line = vec!["run", "--detach", "--null-io"];
    let pod = in_pod("sandbox");
    line.extend(pod.iter().map(String::as_str));
    let runtime = paths::runtime();
    line.extend([
        "--runtime",
        &runtime,
        guest_image::NAME,
        ANCHOR,
        NATIVE,
        "pause",
    ]);
    containerd.ctr.call(&line).success();
    Shim::of(containerd, ANCHOR).connect(ANCHOR).shim_pid
}

pub fn end_anchor(containerd: &Containerd) {
    containerd.ctr.remove(ANCHOR);
}

fn in_pod(kind: &str) -> Vec<String> {
    let kind = format!("io.kubernetes.cri.container-type={kind}");
    let pod = format!("io.kubernetes.cri.sandbox-id={ANCHOR}");
    vec!["--annotation".into(), kind, "--annotation".into(), pod]
}

/// One container after the other, each with a life of its own.
#[derive(Debug)]
pub struct Lane {
    number: usize,
    ctr: Ctr,
    random: Rng,
}

impl Lane {
    pub fn new(number: usize, ctr: Ctr, random: Rng) -> Self {
        Self {
            number,
            ctr,
            random,
        }
    }

    pub fn live(mut self, shared: &Shared) {
        let mut count = 0;
        while !shared.is_over() {
            let deaths = shared.ruins.containerd_deaths();
            // Ids come again soon.
            let id = format!("lane-{}-{}", self.number, count % 3);
            let name = format!("{id}-{count}");
            count += 1;
            let result = catch_unwind(AssertUnwindSafe(|| self.one_life(&id, shared)));
            let same = shared.ruins.containerd_deaths() == deaths;
            let ruined = shared.ruins.take(&id);
            match result {
                Ok(()) => shared.tally.count("containers to their ends"),
                Err(_) if ruined || !same => {
                    shared.tally.count("containers that a fault has ended");
                }
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().cloned();
                    shared
                        .tally
                        .fail(format!("{name}: {}", text.unwrap_or_default()));
                }
            }
            if ruined || !same {
                self.clear(&id, shared);
            }
        }
    }

    /// What a person would do after a failure.
    fn clear(&self, id: &str, shared: &Shared) {
        for _ in 0..5 {
            shared.ruins.containerd_deaths();
            // These panic when containerd goes away just now.
            let cleared = catch_unwind(AssertUnwindSafe(|| {
                self.ctr.remove(id);
                if self.ctr.tasks().iter().any(|task| task == id) {
                    // `ctr run --rm` has removed the container when containerd came
                    // back, but not its task, which goes by its container's name.
                    let runtime = paths::runtime();
                    let create = ["containers", "create", "--runtime", &runtime];
                    let create: Vec<&str> =
                        create.into_iter().chain([guest_image::NAME, id]).collect();
                    self.ctr.call(&create);
                    self.ctr.remove(id);
                }
                // Left where containerd went before the container was made.
                self.ctr.call(&["snapshots", "remove", id]);
                let left = [self.ctr.containers(), self.ctr.tasks()];
                !left.iter().flatten().any(|left| left == id)
            }));
            if cleared.unwrap_or(false) {
                return;
            }
        }
        shared.tally.fail(format!("{id} can't be removed"));
    }

    fn one_life(&mut self, id: &str, shared: &Shared) {
        match self.random.u32(0..10) {
            0..=2 => self.hello(id),
            3 => self.code(id),
            4 => self.flood(id),
            _ => self.long_life(id, shared),
        }
    }

    fn run(&self, id: &str, program: &[&str]) -> Vec<String> {
        let mut line: Vec<String> = vec!["run".into(), "--rm".into()];
        // Some are of one pod, whose shim stays.
        if self.number.is_multiple_of(4) {
            line.extend(in_pod("container"));
        }
        let runtime = paths::runtime();
        let words = ["--runtime", &runtime, guest_image::NAME, id];
        line.extend(words.iter().chain(program).map(|word| (*word).to_owned()));
        line
    }

    fn output(&self, id: &str, program: &[&str]) -> Output {
        let line = self.run(id, program);
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        self.ctr.call(&line)
    }

    fn hello(&self, id: &str) {
        let output = self.output(id, &[GUEST, "args", id]);
        assert_eq!(output.success(), format!("[/guest]\n[args]\n[{id}]\n"));
    }

    fn code(&mut self, id: &str) {
        let code = self.random.i32(0..100);
        let output = self.output(id, &[GUEST, "exit", &code.to_string()]);
        output.expect_code(code);
    }

    fn flood(&mut self, id: &str) {
        let bytes = self.random.usize(1..300_000);
        let output = self.output(id, &[GUEST, "flood", &bytes.to_string()]);
        output.expect_code(0);
        assert_eq!(pattern::first_difference(&output.stdout, bytes), None);
    }

    fn long_life(&mut self, id: &str, shared: &Shared) {
        let mut command = self.ctr.command();
        command.args(self.run(id, &[GUEST, "sleep"]));
        let mut live = Live::piped(command, id.into());
        let lived = catch_unwind(AssertUnwindSafe(|| self.use_up(id, &mut live, shared)));
        match lived {
            Ok(code) => live.finish(ctr::LIMIT).expect_code(code),
            Err(panic) => {
                // A `ctr` that is killed in its Delete leaves containerd with a
                // task that its shim has no more.
                self.ctr.kill(id, "SIGKILL");
                live.finish(ctr::LIMIT);
                resume_unwind(panic)
            }
        };
    }

    /// Works with a container that runs, then ends it; returns the exit code to
    /// expect.
    fn use_up(&mut self, id: &str, live: &mut Live, shared: &Shared) -> i32 {
        live.expect_line("ready");
        for number in 0..self.random.u32(0..4) {
            self.step(id, number);
            shared.tally.count("execs, pauses, listings");
        }
        let (signal, code) = *self
            .random
            .choice(&[("SIGKILL", 137), ("SIGTERM", 143), ("SIGINT", 130)])
            .expect("three");
        self.ctr.kill(id, signal).expect_code(0);
        shared.tally.count("kills");
        code
    }

    fn step(&mut self, id: &str, number: u32) {
        let name = format!("step-{number}");
        let exec = |program: &[&str]| {
            let mut line = vec!["tasks", "exec", "--exec-id", &name, id];
            line.extend(program);
            self.ctr.call(&line)
        };
        match self.random.u32(0..5) {
            0 => {
                assert_eq!(exec(&[GUEST, "hello"]).success(), "hello from the guest\n");
            }
            1 => {
                exec(&[NATIVE, "exit", "3"]).expect_code(3);
            }
            2 => {
                self.ctr.call(&["tasks", "pause", id]).expect_code(0);
                self.ctr.call(&["tasks", "resume", id]).expect_code(0);
            }
            3 => {
                self.ctr.call(&["tasks", "ps", id]).expect_code(0);
            }
            _ => {
                self.ctr.call(&["tasks", "metrics", id]).expect_code(0);
            }
        }
    }
}
