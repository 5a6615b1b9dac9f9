use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use oci::Bundle;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::args::Args;
use crate::error::{Context, Result};
use crate::fork::fork;
use crate::preparation::Stamp;
use crate::{inherited, server};

/// The environment variable in which containerd names its event service.
pub const TTRPC_ADDRESS: &str = "TTRPC_ADDRESS";

/// What containerd 2.3 and later write, as JSON, to the standard input of
/// `start` (containerd.runtime.bootstrap.v1); of it only what is used here.
/// Earlier ones write the runtime options there, as protobuf.
#[derive(Debug, Deserialize)]
struct BootstrapParams {
    containerd_ttrpc_address: String,
}

/// The answer to `start` for those who sent [`BootstrapParams`].
#[derive(Debug, Serialize)]
struct BootstrapResult<'a> {
    version: u32,
    address: &'a str,
    protocol: &'a str,
}

/// Starts a server for this container's pod, or finds the one that there is,
/// and prints where it listens. Runs in the bundle.
pub fn start(args: &Args) -> Result<()> {
    inherited::close();
    let params = read_params();
    let folder = std::env::current_dir().at("can't find", ".")?;
    let stamp = Stamp::of(&folder);
    let bundle = Bundle::load(&folder)?;
    let group = bundle.group().unwrap_or(&args.id);
    let address = Address::of(&args.address, &args.namespace, group);
    let answer = answer(&address.to_string(), params.is_some());
    let Some(listener) = address.bind()? else {
        address.write(&folder)?;
        return print(&answer);
    };
    let served = address.write(&folder).and_then(|()| {
        fork_server(
            args,
            (&address, listener),
            (bundle, stamp?),
            params.as_ref(),
        )
    });
    if let Err(error) = served {
        address.remove_unless_served();
        return Err(error);
    }
    print(&answer)
}

/// containerd 1.6 dials what it is told as an address; 1.7 and 2.x take that
/// too, and ask for task v2 then. Only who sends parameters can be answered in
/// JSON, with task v3.
fn answer(address: &str, wants_json: bool) -> String {
    let result = BootstrapResult {
        version: 3,
        address,
        protocol: "ttrpc",
    };
    match serde_json::to_string(&result) {
        Ok(json) if wants_json => json,
        _ => address.to_owned(),
    }
}

fn read_params() -> Option<BootstrapParams> {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).ok()?;
    serde_json::from_slice(&input).ok()
}

/// The server is a fork of this process: it has no program to load and nothing to
/// read again, and is at work before containerd knows where it listens.
fn fork_server(
    args: &Args,
    (address, listener): (&Address, UnixListener),
    bundle: (Bundle, Stamp),
    params: Option<&BootstrapParams>,
) -> Result<()> {
    let events = std::env::var(TTRPC_ADDRESS).ok();
    let events = events.or_else(|| params.map(|params| params.containerd_ttrpc_address.clone()));
    let server = fork(|| {
        let served = server::serve(args, (address.clone(), listener), bundle, events);
        i32::from(served.inspect_err(|error| log::error!("{error}")).is_err())
    })
    .context("can't start the shim's server")?;
    keep_from_oom_killer(server);
    Ok(())
}

/// As containerd's own shims: a little more likely to be killed than
/// containerd, much less than a container.
fn keep_from_oom_killer(pid: u32) {
    let parent = rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get());
    let score: i32 = std::fs::read_to_string(format!("/proc/{parent}/oom_score_adj"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    // Without the right to lower it the server goes on with what it has.
    let _ = std::fs::write(
        format!("/proc/{pid}/oom_score_adj"),
        (score + 1).min(1000).to_string(),
    );
}

fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .context("can't answer containerd")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_callers_get_a_bare_address() {
        assert_eq!(answer("unix:///s", false), "unix:///s");
    }

    #[test]
    fn new_callers_get_json() {
        let json: serde_json::Value = serde_json::from_str(&answer("unix:///s", true)).unwrap();
        assert_eq!(json["version"], 3);
        assert_eq!(json["address"], "unix:///s");
        assert_eq!(json["protocol"], "ttrpc");
    }

    #[test]
    fn parameters_are_told_from_options() {
        let params = br#"{"id":"a","containerd_ttrpc_address":"/c.ttrpc","unknown":[1]}"#;
        assert!(serde_json::from_slice::<BootstrapParams>(params).is_ok());
        let options = b"\n\x1ccontainerd.runc.v1.Options\x12\x02\x48\x01";
        assert!(serde_json::from_slice::<BootstrapParams>(options).is_err());
    }
}
