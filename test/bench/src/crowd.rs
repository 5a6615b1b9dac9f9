//! How long a start takes while others run.

use shim_test::containerd::Containerd;

use crate::contender::Contender;
use crate::latency;
use crate::report::Report;

const OTHERS: [usize; 3] = [0, 100, 300];

pub fn measure(containerd: &Containerd, contender: Contender, rounds: usize, report: &mut Report) {
    let mut running = Vec::new();
    let values = OTHERS.map(|number| {
        while running.len() < number {
            let id = format!("crowd-{}", running.len());
            contender.idle(containerd, &id);
            running.push(id);
        }
        let name = match number {
            0 => "alone",
            100 => "with 100",
            _ => "with 300",
        };
        (name, latency::until_exit(containerd, contender, rounds))
    });
    report.add(
        &format!("{}: create to exit beside others, p50", contender.name),
        "ms",
        values.to_vec(),
    );
    for id in &running {
        containerd.ctr.remove(id);
    }
}
