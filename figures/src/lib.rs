//! What happened on this node, as figures for Prometheus.
//!
//! They are a text file of the kind that node-exporter's textfile collector
//! reads, to which each shim and each compiler adds its own: there is no process
//! that lives as long as the figures have to.
#![forbid(unsafe_code)]

mod text;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use text::Samples;

/// Where to count; nowhere without a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures(Option<PathBuf>);

/// What has happened once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// A container runs. What it took the shim, without what containerd does
    /// between Create and Start.
    Start(Duration),
    /// A container could not be created or started.
    FailedStart,
    /// A module that is being loaded has native code, or not yet, or never.
    NativeCode(Code),
    /// A compiler has made code, or has failed.
    Compiled { well: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Hit,
    Miss,
    Impossible,
}

impl Figures {
    pub fn at(path: Option<PathBuf>) -> Self {
        Self(path)
    }

    pub fn path(&self) -> Option<&Path> {
        self.0.as_deref()
    }

    /// Adds one to what is in the file. Takes a fraction of a millisecond, and
    /// waits for others who do the same.
    pub fn add(&self, count: Count) -> io::Result<()> {
        match &self.0 {
            Some(path) => add(path, count),
            None => Ok(()),
        }
    }
}

/// The file is replaced, so that a reader finds a whole one; the folder is what
/// stays the same, and can be locked.
fn add(path: &Path, count: Count) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let parent = path.parent().unwrap_or(Path::new("/"));
    let folder = File::open(parent)?;
    flock(&folder, FlockOperation::LockExclusive)?;
    let mut samples = match fs::read_to_string(path) {
        Ok(text) => Samples::parse(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Samples::default(),
        Err(error) => return Err(error),
    };
    samples.add(count);
    // Not read by the collector, whose files end with .prom.
    let fresh = parent.join(format!(".{name}.new"));
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o644);
    options.open(&fresh)?.write_all(samples.text().as_bytes())?;
    fs::rename(fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_add_to_one_file() {
        let folder = std::env::temp_dir().join(format!("figures-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("test.prom");
        let figures = Figures::at(Some(file.clone()));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        figures.add(Count::FailedStart).unwrap();
                    }
                });
            }
        });
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("_start_failures_total 100\n"), "{text}");
        fs::remove_dir_all(folder).unwrap();
        assert!(figures.add(Count::FailedStart).is_err());
        Figures::default().add(Count::FailedStart).unwrap();
    }
}
