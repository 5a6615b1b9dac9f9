use oci::Bundle;

/// What is wrong with `process.oomScoreAdj`, of which libcontainer says "io
/// error"; `None` if it can be set. Sets it for this process, which has failed
/// to make a container and ends.
pub fn explain(bundle: &Bundle) -> Option<String> {
    let wanted = bundle.spec.process().as_ref()?.oom_score_adj()?;
    let error = std::fs::write("/proc/self/oom_score_adj", wanted.to_string()).err()?;
    Some(format!(
        "process.oomScoreAdj of {wanted} can't be set: {error}; lowering it takes \
         CAP_SYS_RESOURCE, which containerd has not got: for pods, set \
         restrict_oom_score_adj = true in the configuration of its CRI plugin"
    ))
}
