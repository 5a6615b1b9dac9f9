use oci::Bundle;

/// What stopped libcontainer, if it is one of the two that its own words hide: the
/// container's limit of processes, or somebody who killed what it had begun.
/// `error`: these words, as there are no others (its processes send each other text).
pub fn explain(error: &str, bundle: &Bundle) -> Option<String> {
    if error.contains("failed to launch init process")
        && let Some(limit) = process_limit(bundle)
    {
        return Some(format!(
            "no process can be added to the container: the limit of {limit} \
             (linux.resources.pids.limit) is reached, or too low to begin with: making a process \
             takes one more for a moment"
        ));
    }
    if error.contains("BrokenChannel") {
        return Some(
            "the container's process was killed while it was made; \
             the kernel's log says if there was no memory left"
                .into(),
        );
    }
    None
}

fn process_limit(bundle: &Bundle) -> Option<i64> {
    let resources = bundle.spec.linux().as_ref()?.resources().as_ref()?;
    let limit = resources.pids().as_ref()?.limit();
    (limit > 0).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libcontainer_hides_is_said() {
        let config = r#"{"ociVersion":"1.0.0","linux":{"resources":{"pids":{"limit":3}}}}"#;
        let bundle = Bundle {
            path: "/bundle".into(),
            spec: serde_json::from_str(config).unwrap(),
        };
        let said = |error| explain(error, &bundle);
        let limit = said("intermediate process error failed to launch init process");
        assert!(limit.unwrap().contains("limit of 3"));
        let killed = said("failed to receive. \"waiting for init ready\". BrokenChannel");
        assert!(killed.unwrap().contains("was killed"));
        assert_eq!(said("anything else"), None);
    }
}
