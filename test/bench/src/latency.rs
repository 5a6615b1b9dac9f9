//! The life of a task through the task API: how long each step takes.

use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use shim_test::containerd::Containerd;
use shim_test::stats::percentile;

use crate::client::{Api, Life, block_on};
use crate::contender::Contender;
use crate::report::Report;

type Step = fn(&Life) -> Duration;

const STEPS: [(&str, Step); 6] = [
    ("create", |life| life.create),
    ("start", |life| life.start),
    ("start to first byte", |life| life.first_byte),
    ("start to exit", |life| life.exit),
    ("delete", |life| life.delete),
    ("create to exit", |life| life.until_exit),
];

/// Measures all contenders in turns.
pub fn measure(
    containerd: &Containerd,
    contenders: &[Contender],
    rounds: usize,
    report: &mut Report,
) {
    for contender in contenders {
        contender.container(containerd, contender.name, &["hello"]);
    }
    let lives = block_on(lives(containerd, contenders, rounds));
    for (step, of) in STEPS {
        for percent in [50, 99] {
            let values = contenders.iter().zip(&lives).map(|(contender, lives)| {
                let times: Vec<f64> = lives.iter().map(|life| of(life).as_secs_f64()).collect();
                (contender.name, percentile(&times, percent) * 1e3)
            });
            report.add(&format!("task: {step}, p{percent}"), "ms", values.collect());
        }
    }
    for contender in contenders {
        containerd.ctr.remove(contender.name);
    }
}

/// The median from Create to exit, in milliseconds.
pub fn until_exit(containerd: &Containerd, contender: Contender, rounds: usize) -> f64 {
    contender.container(containerd, contender.name, &["hello"]);
    let lives = block_on(lives(containerd, &[contender], rounds)).concat();
    containerd.ctr.remove(contender.name);
    let times: Vec<f64> = lives
        .iter()
        .map(|life| life.until_exit.as_secs_f64())
        .collect();
    percentile(&times, 50) * 1e3
}

async fn lives(containerd: &Containerd, contenders: &[Contender], rounds: usize) -> Vec<Vec<Life>> {
    let api = Api::connect(containerd).await;
    let mut lives: Vec<Vec<Life>> = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        for (contender, lives) in contenders.iter().zip(&mut lives) {
            let rootfs = api.mounts(contender.name).await;
            let fifo = fifo(containerd, contender.name);
            let life = api.live(contender.name, &rootfs, &fifo).await;
            if round > 0 {
                lives.push(life);
            }
        }
    }
    lives
}

fn fifo(containerd: &Containerd, id: &str) -> PathBuf {
    let path = containerd.folder().join(format!("{id}.output"));
    if !path.exists() {
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
    }
    path
}
