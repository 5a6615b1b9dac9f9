use crate::processes;

/// More than this, in KiB, is growth.
const TOLERANCE: u64 = 1024;

/// The memory and the descriptors of the processes that stay: a pod's shim,
/// in which containers come and go, and the zygote.
#[derive(Debug)]
pub struct Watch {
    shim: u32,
    samples: Vec<[Sample; 2]>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Memory of its own, in KiB (proc_pid_status(5), "RssAnon").
    memory: u64,
    descriptors: usize,
}

impl Sample {
    fn of(pid: u32) -> Option<Self> {
        let text = processes::status(pid, "RssAnon")?;
        let memory = text.split_whitespace().next()?.parse().ok()?;
        let descriptors = processes::descriptors(pid).len();
        Some(Self {
            memory,
            descriptors,
        })
    }
}

pub fn zygote() -> Option<u32> {
    let mut all = processes::all().into_iter();
    let serves = |line: &str| line.contains("wasm-zygote serve");
    all.find(|process| {
        serves(&process.command_line)
            && processes::name(process.pid).as_deref() == Some("wasm-zygote")
    })
    .map(|process| process.pid)
}

impl Watch {
    pub fn new(shim: u32) -> Self {
        Self {
            shim,
            samples: Vec::new(),
        }
    }

    pub fn look(&mut self) {
        let both = [Some(self.shim), zygote()].map(|pid| pid.and_then(Sample::of));
        if let [Some(shim), Some(zygote)] = both {
            self.samples.push([shim, zygote]);
        }
    }

    /// Whether neither grows: the medians of the first and the last quarter.
    pub fn print(&self) -> bool {
        let quarter = self.samples.len() / 4;
        if quarter == 0 {
            println!("too short to say whether memory grows");
            return true;
        }
        println!("\n| | memory first | last | descriptors first | last |\n|---|---|---|---|---|");
        let mut is_flat = true;
        for (number, name) in ["shim of a pod", "zygote"].into_iter().enumerate() {
            let median = |part: &[[Sample; 2]], of: fn(&Sample) -> u64| {
                let mut values: Vec<u64> = part.iter().map(|both| of(&both[number])).collect();
                values.sort_unstable();
                values[values.len() / 2]
            };
            let (first, last) = (
                &self.samples[..quarter],
                &self.samples[self.samples.len() - quarter..],
            );
            let [memory, descriptors]: [fn(&Sample) -> u64; 2] =
                [|sample| sample.memory, |sample| sample.descriptors as u64];
            let grown = [median(first, memory), median(last, memory)];
            println!(
                "| {name} | {} KiB | {} KiB | {} | {} |",
                grown[0],
                grown[1],
                median(first, descriptors),
                median(last, descriptors)
            );
            is_flat &= grown[1] <= grown[0] + TOLERANCE;
        }
        is_flat
    }
}
