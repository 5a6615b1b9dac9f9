//! Values as protobuf has them.

use std::time::SystemTime;

use containerd_shim_protos::events::task;
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::well_known_types::timestamp::Timestamp;
use containerd_shim_protos::shim::oci::ProcessDetails;
use containerd_shim_protos::{cgroups, cgroups_v2};

use crate::error::Result;

/// A message that goes into an `Any`.
pub trait Named: Message {
    /// As containerd's `typeurl` reads it.
    const FULL_NAME: &'static str;
}

/// The names stand here: to ask a message for its own builds the descriptors of its
/// file and of all that this imports, which takes half a megabyte and a good part of
/// a millisecond.
macro_rules! named {
    ($($message:ty: $name:literal),* $(,)?) => {
        $(impl Named for $message {
            const FULL_NAME: &'static str = $name;
        })*

        #[cfg(test)]
        fn names() -> Vec<(&'static str, String)> {
            use containerd_shim_protos::protobuf::MessageFull;
            vec![$(($name, <$message>::descriptor().full_name().to_owned())),*]
        }
    };
}

named! {
    task::TaskCreate: "containerd.events.TaskCreate",
    task::TaskStart: "containerd.events.TaskStart",
    task::TaskDelete: "containerd.events.TaskDelete",
    task::TaskExit: "containerd.events.TaskExit",
    task::TaskOOM: "containerd.events.TaskOOM",
    task::TaskPaused: "containerd.events.TaskPaused",
    task::TaskResumed: "containerd.events.TaskResumed",
    task::TaskExecAdded: "containerd.events.TaskExecAdded",
    task::TaskExecStarted: "containerd.events.TaskExecStarted",
    ProcessDetails: "containerd.runc.v1.ProcessDetails",
    cgroups::metrics::Metrics: "io.containerd.cgroups.v1.Metrics",
    cgroups_v2::metrics::Metrics: "io.containerd.cgroups.v2.Metrics",
}

/// A message with its name.
pub fn any<M: Named>(message: &M) -> Result<Any> {
    Ok(Any {
        type_url: M::FULL_NAME.to_owned(),
        value: Message::write_to_bytes(message)?,
        ..Default::default()
    })
}

/// Wall-clock time.
pub fn timestamp(at: SystemTime) -> Timestamp {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_those_of_the_messages() {
        for (given, own) in super::names() {
            assert_eq!(given, own);
        }
    }
}
