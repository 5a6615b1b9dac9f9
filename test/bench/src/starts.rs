//! One `ctr run --rm` of a program that says hello.

use std::time::Instant;

use shim_test::containerd::Containerd;
use shim_test::stats::Samples;

use crate::contender::Contender;
use crate::report::Report;

pub fn measure(
    containerd: &Containerd,
    contenders: &[Contender],
    rounds: usize,
    report: &mut Report,
) {
    let mut samples: Vec<Samples> = contenders.iter().map(|_| Samples::default()).collect();
    // The first of each warms what is kept: the zygote, native code, caches.
    for round in 0..=rounds {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            let mut ctr = contender.ctr(containerd, &["run", "--rm"], "start", &["hello"]);
            let begin = Instant::now();
            let output = ctr.output().expect("ctr");
            let took = begin.elapsed();
            assert!(output.status.success(), "{output:?}");
            if round > 0 {
                samples.push(took.as_secs_f64() * 1e3);
            }
        }
    }
    let medians = samples.into_iter().map(Samples::median);
    let values = contenders
        .iter()
        .map(|contender| contender.name)
        .zip(medians);
    report.add("ctr run --rm of hello", "ms", values.collect());
}
