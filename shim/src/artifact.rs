use std::path::Path;

use oci::{Bundle, Files, Workload};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::content::{Content, Modules, Whose};
use crate::error::Result;

/// The modules of a container that is made of an artifact.
///
/// One that no annotation names is only looked for if the container's program
/// is not in its files. To look for that is all that other containers pay, and
/// no guess: an artifact's root is empty at first, but not when the container is
/// started again. The rootfs is mounted.
pub async fn modules(bundle: &Bundle, id: &str, content: &Content) -> Result<Modules> {
    // What is wrong with a bundle the launcher says.
    let Ok(workload) = Workload::from_spec(&bundle.spec) else {
        return Ok(Modules::default());
    };
    if let Some(name) = &workload.wishes.artifact {
        return content.modules(Whose::Image(name)).await;
    }
    let workload = workload.without_init().unwrap_or(workload);
    let files = Files::of(bundle);
    let candidates = workload.candidates();
    if candidates
        .iter()
        .any(|candidate| has(&files, &candidate.path))
    {
        return Ok(Modules::default());
    }
    content.modules(Whose::Container(id)).await
}

/// What can't be told counts as there: the guest's side looks again.
fn has(files: &Files<'_>, path: &Path) -> bool {
    let found = files.open(path, OFlags::PATH);
    !matches!(found, Err(Errno::NOENT | Errno::NOTDIR))
}
