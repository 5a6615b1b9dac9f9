//! `make soak`: containers by the thousand, 16 at a time, with random faults.
//! SOAK_SECONDS (600), SOAK_SEED (printed), SOAK_LANES (16).

use std::process::ExitCode;
use std::time::Duration;
use std::{env, panic};

use shim_test::soak::{self, Config};
use shim_test::{sandbox, versions};

fn main() -> ExitCode {
    sandbox::enter(sandbox::Network::Host);
    let config = Config {
        length: Duration::from_secs(setting("SOAK_SECONDS", 600)),
        lanes: usize::try_from(setting("SOAK_LANES", 16)).unwrap_or(16),
        seed: setting("SOAK_SEED", fastrand::u64(..)),
    };
    let version = versions::newest();
    println!(
        "soak: containerd {}, {} s, {} at a time, SOAK_SEED={}",
        version.name,
        config.length.as_secs(),
        config.lanes,
        config.seed
    );
    // What a fault breaks ends in panics that are counted, not shown.
    panic::set_hook(Box::new(|_| {}));
    if soak::run(&version, config) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    match env::var(name).map(|text| text.parse()) {
        Ok(Ok(number)) => number,
        Ok(Err(_)) => panic!("{name} is not a number"),
        Err(_) => otherwise,
    }
}
