//! Many containers at a time for a long time, with random faults: what fails
//! that no fault explains, what is left, and whether memory grows.

mod life;
mod mischief;
mod ruins;
mod tally;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::containerd::{Containerd, Options};
use crate::leak::Snapshot;
use crate::paths;
use crate::versions::Version;
use life::Lane;
use mischief::Mischief;
use ruins::Ruins;
use tally::Tally;
use watch::Watch;

/// What a run is to be.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    pub length: Duration,
    pub lanes: usize,
    /// The same seed asks for the same lives and the same faults.
    pub seed: u64,
}

/// What all threads share.
#[derive(Debug)]
pub struct Shared {
    pub tally: Tally,
    pub ruins: Ruins,
    over: AtomicBool,
}

impl Shared {
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Prints what came of it; whether all is well.
pub fn run(version: &Version, config: Config) -> bool {
    let before = Snapshot::take();
    let options = Options {
        name: "soak".into(),
        shim_bin: paths::shim_tree().join("bin"),
        wrapper: Vec::new(),
        cri: None,
    };
    let mut containerd = Containerd::start(version, &options);
    let namespace = containerd.namespace().to_owned();
    let shared = Shared {
        tally: Tally::default(),
        ruins: Ruins::default(),
        over: AtomicBool::new(false),
    };
    let anchor = life::anchor(&containerd);
    let mut watch = Watch::new(anchor);
    let mut random = Rng::with_seed(config.seed);
    let started = Instant::now();
    thread::scope(|scope| {
        for number in 0..config.lanes {
            let lane = Lane::new(number, containerd.ctr.clone(), random.fork());
            let shared = &shared;
            scope.spawn(move || lane.live(shared));
        }
        let mut mischief = Mischief::new(&namespace, anchor, random.fork());
        while started.elapsed() < config.length {
            // The longer half has one zygote and one containerd, to see whether
            // they grow.
            let early = started.elapsed() < config.length * 2 / 5;
            mischief.do_one(&mut containerd, &shared, early);
            if !early {
                watch.look();
            }
        }
        shared.over.store(true, Ordering::Relaxed);
    });
    life::end_anchor(&containerd);
    drop(containerd);
    shared.tally.print(started.elapsed());
    let is_flat = watch.print();
    let left = before.new_since(&namespace);
    println!("left behind: {}", left.as_deref().unwrap_or("nothing"));
    let unexplained = shared.tally.print_failures();
    is_flat && left.is_none() && unexplained == 0
}
