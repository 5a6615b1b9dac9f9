//! Tasks in a second, several at a time.

use std::rc::Rc;
use std::time::{Duration, Instant};

use shim_test::containerd::Containerd;
use tokio::task::LocalSet;

use crate::client::{Api, block_on};
use crate::contender::Contender;
use crate::report::Report;

const AT_A_TIME: [usize; 3] = [1, 4, 16];
const FOR: Duration = Duration::from_secs(6);

pub fn measure(containerd: &Containerd, contenders: &[Contender], report: &mut Report) {
    for number in AT_A_TIME {
        let values = contenders.iter().map(|contender| {
            let ids: Vec<String> = (0..number)
                .map(|index| format!("{}-{index}", contender.name))
                .collect();
            for id in &ids {
                contender.container(containerd, id, &["hello"]);
            }
            let rate = block_on(rate(containerd, &ids));
            for id in &ids {
                containerd.ctr.remove(id);
            }
            (contender.name, rate)
        });
        let what = format!("tasks in a second, {number} at a time");
        report.add(&what, "/s", values.collect());
    }
}

async fn rate(containerd: &Containerd, ids: &[String]) -> f64 {
    let api = Rc::new(Api::connect(containerd).await);
    let workers = LocalSet::new();
    let begin = Instant::now();
    let tasks: Vec<_> = ids
        .iter()
        .map(|id| workers.spawn_local(repeat(Rc::clone(&api), id.clone(), begin)))
        .collect();
    let done = workers.run_until(async {
        let mut done = 0;
        for task in tasks {
            done += task.await.expect("a worker");
        }
        done
    });
    let done: u32 = done.await;
    f64::from(done) / begin.elapsed().as_secs_f64()
}

async fn repeat(api: Rc<Api>, id: String, begin: Instant) -> u32 {
    let rootfs = api.mounts(&id).await;
    let mut done = 0;
    while begin.elapsed() < FOR {
        api.run(&id, &rootfs).await;
        done += 1;
    }
    done
}
