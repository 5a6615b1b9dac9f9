//! What containers that only wait take of the machine's memory.

use std::time::Duration;

use shim_test::containerd::Containerd;
use shim_test::{memory, processes};

use crate::contender::Contender;
use crate::report::Report;

const NUMBERS: [usize; 3] = [1, 20, 200];

/// Memory as proportional set sizes, everything that is shared counted in, as
/// the zygote of all.
pub fn measure(containerd: &Containerd, contenders: &[Contender], report: &mut Report) {
    let grown: Vec<Vec<Total>> = contenders
        .iter()
        .map(|contender| grow(containerd, *contender))
        .collect();
    let names = || contenders.iter().map(|contender| contender.name);
    for (index, number) in NUMBERS.iter().enumerate() {
        let each = grown
            .iter()
            .map(|totals| totals[index].megabytes / *number as f64);
        let what = format!("memory of each of {number} idle containers");
        report.add(&what, "MB", names().zip(each).collect());
    }
    let more = (NUMBERS[2] - NUMBERS[1]) as f64;
    let marginal = grown
        .iter()
        .map(|totals| (totals[2].megabytes - totals[1].megabytes) / more);
    let what = "memory of one more container, from 20 to 200";
    report.add(what, "MB", names().zip(marginal).collect());
    let processes = grown
        .iter()
        .map(|totals| totals[2].processes / NUMBERS[2] as f64);
    report.add(
        "processes of each of 200",
        "",
        names().zip(processes).collect(),
    );
}

#[derive(Debug, Clone, Copy)]
struct Total {
    megabytes: f64,
    processes: f64,
}

fn total() -> Total {
    let all = processes::all();
    Total {
        megabytes: memory::total(&all) as f64 / 1e6,
        processes: all.len() as f64,
    }
}

/// What there is more at each of the numbers than without any.
fn grow(containerd: &Containerd, contender: Contender) -> Vec<Total> {
    let before = total();
    let mut ids = Vec::new();
    let totals = NUMBERS.map(|number| {
        while ids.len() < number {
            let id = format!("idle-{}", ids.len());
            contender.idle(containerd, &id);
            ids.push(id);
        }
        // What a start has left ends meanwhile.
        std::thread::sleep(Duration::from_secs(2));
        let now = total();
        Total {
            megabytes: now.megabytes - before.megabytes,
            processes: now.processes - before.processes,
        }
    });
    for id in &ids {
        containerd.ctr.remove(id);
    }
    totals.to_vec()
}
