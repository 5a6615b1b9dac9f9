use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Mutex;

use log::kv::{self, Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use rustix::fs::OFlags;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args::Args;
use crate::error::Context;

/// Log lines in containerd's format to the FIFO `log` of the bundle, from where
/// containerd copies them into its own log.
struct Logger {
    fifo: Mutex<File>,
    namespace: String,
    id: String,
}

/// To be called in the bundle. The level comes from containerd's, never from
/// the environment.
pub fn init(args: &Args) -> crate::error::Result<()> {
    // Opened for reading too, so that a containerd that went away neither stops
    // the shim nor ends it with SIGPIPE; without waiting, so that one that does
    // not read costs lines and no time.
    let fifo = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open("log")
        .at("can't open", "log")?;
    let logger = Logger {
        fifo: Mutex::new(fifo),
        namespace: args.namespace.clone(),
        id: args.id.clone(),
    };
    log::set_max_level(if args.debug {
        LevelFilter::Debug
    } else {
        LevelFilter::Info
    });
    // Fails only if there is a logger already; this is called once.
    let _ = log::set_boxed_logger(Box::new(logger));
    Ok(())
}

/// What a message is about, such as the container, after all other fields.
struct Fields<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let value = value.to_string();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
        // As logrus quotes, which containerd logs with.
        match value.chars().all(is_plain) && !value.is_empty() {
            true => write!(self.0, " {key}={value}")?,
            false => write!(self.0, " {key}={value:?}")?,
        }
        Ok(())
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The libraries' chatter helps nobody who runs containers.
        metadata.target().starts_with("containerd_shim_wasm")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = record.level().as_str().to_ascii_lowercase();
        let level = if level == "warn" { "warning" } else { &level };
        let now = OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .unwrap_or_default();
        let mut line = format!(
            "time={now:?} level={level} msg={:?} namespace={} id={}",
            record.args().to_string(),
            self.namespace,
            self.id
        );
        let _ = record.key_values().visit(&mut Fields(&mut line));
        line.push('\n');
        if let Ok(mut fifo) = self.fifo.lock() {
            // Nowhere to say that the log is full.
            let _ = fifo.write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use log::kv::Source;

    use super::*;

    #[test]
    fn fields_are_quoted_as_containerd_does() {
        let mut line = String::new();
        let fields = [("container", "a-1"), ("path", "two words"), ("empty", "")];
        fields.visit(&mut Fields(&mut line)).unwrap();
        assert_eq!(line, " container=a-1 path=\"two words\" empty=\"\"");
    }
}
