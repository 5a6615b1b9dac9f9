//! Many containers at a time.

use std::thread;
use std::time::Duration;

use shim_test::case::Case;

crate::tests! {
    any: hundred_containers;
    wasm:
}

/// 100 containers, 10 at a time, each with its own words to say.
fn hundred_containers(case: &Case) {
    let run = |lane: usize| {
        for turn in 0..10 {
            let suffix = format!("{lane}-{turn}");
            let output = case
                .run(&suffix)
                .guest(["args", &suffix])
                .limit(Duration::from_secs(120))
                .output();
            assert_eq!(output.success(), format!("[/guest]\n[args]\n[{suffix}]\n"));
        }
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..10).map(|lane| scope.spawn(move || run(lane))).collect();
        let results: Vec<_> = lanes
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        // The first panic is the test's.
        if let Some(panic) = results.into_iter().find_map(Result::err) {
            std::panic::resume_unwind(panic);
        }
    });
}
