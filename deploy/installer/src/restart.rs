//! containerd reads its configuration when it starts, and never again: SIGHUP
//! does not make it. So it has to be restarted, and only if that harms nobody.

use crate::error::Result;
use crate::host::Host;
use crate::layout::{Kind, Layout};

/// What became of it; the texts go to the operator.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Restarted(String),
    /// The operator has to do it, and why.
    ByHand(String),
    /// Who takes the change up without a restart.
    NotNeeded(&'static str),
}

pub fn restart(host: &Host, layout: &Layout) -> Result<Outcome> {
    if layout.kind == Kind::K0s {
        return Ok(Outcome::NotNeeded(
            "k0s watches its drop-ins, and restarts containerd itself",
        ));
    }
    let units = layout.kind.units();
    let is_active = |unit: &&&str| host.output("systemctl", &["is-active", unit]).is_ok();
    let Some(unit) = units.iter().find(is_active) else {
        return Ok(Outcome::ByHand(format!(
            "systemd runs no {} here",
            units.join(" and no ")
        )));
    };
    let kills = host.output("systemctl", &["show", "--property=KillMode", unit])?;
    match kills.trim_start_matches("KillMode=") {
        // Only containerd itself is ended; its shims, and so all pods, go on.
        "process" | "none" => {}
        other => {
            return Ok(Outcome::ByHand(format!(
                "unit {unit} has KillMode={other}: a restart would end all pods of this node"
            )));
        }
    }
    // Returns when containerd serves again, as it is of Type=notify.
    host.output("systemctl", &["restart", unit])?;
    host.output("systemctl", &["is-active", unit])?;
    Ok(Outcome::Restarted((*unit).into()))
}
