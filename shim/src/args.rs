use std::path::PathBuf;

use crate::error::{Error, Result};

/// The command line that containerd calls a shim with (shim protocol,
/// "Commands": Go's flag syntax, one or two dashes, `-name value` or `-name=value`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    pub action: Action,
    pub namespace: String,
    pub id: String,
    /// containerd's own socket, part of the name of ours.
    pub address: String,
    /// Given to `delete` only; the other actions run in the bundle.
    pub bundle: Option<PathBuf>,
    pub debug: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Start,
    Delete,
    Info,
    Version,
}

impl Args {
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut action = None;
        let mut parsed = Self {
            action: Action::Version,
            namespace: String::new(),
            id: String::new(),
            address: String::new(),
            bundle: None,
            debug: false,
        };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let Some(flag) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) else {
                action = Some(match arg.as_str() {
                    "start" => Action::Start,
                    "delete" => Action::Delete,
                    other => return Err(Error::Usage(format!("no such action: {other}"))),
                });
                continue;
            };
            let (name, inline) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            match name {
                "v" | "version" => action = Some(Action::Version),
                "info" => action = Some(Action::Info),
                "debug" => parsed.debug = inline.as_deref() != Some("false"),
                _ => {
                    let value = inline
                        .or_else(|| args.next())
                        .ok_or_else(|| Error::Usage(format!("-{name} needs a value")))?;
                    match name {
                        "namespace" => parsed.namespace = value,
                        "id" => parsed.id = value,
                        "address" => parsed.address = value,
                        "bundle" => parsed.bundle = Some(value.into()),
                        // Events go to TTRPC_ADDRESS, the socket is inherited.
                        "publish-binary" | "socket" => {}
                        other => return Err(Error::Usage(format!("no such flag: -{other}"))),
                    }
                }
            }
        }
        parsed.action = action.ok_or_else(|| {
            Error::Usage("no action; containerd calls this with start or delete".into())
        })?;
        parsed.check()
    }

    fn check(self) -> Result<Self> {
        if matches!(self.action, Action::Info | Action::Version) {
            return Ok(self);
        }
        if self.namespace.is_empty() {
            return Err(Error::Usage("-namespace is missing".into()));
        }
        // Both become parts of paths.
        for (flag, value) in [("namespace", &self.namespace), ("id", &self.id)] {
            if !value.is_empty() && !is_name(value) {
                return Err(Error::Usage(format!("-{flag} {value:?} is not a name")));
            }
        }
        if self.id.is_empty() {
            return Err(Error::Usage("-id is missing".into()));
        }
        Ok(self)
    }
}

/// Whether a path that this becomes a part of stays where it is.
pub fn is_name(text: &str) -> bool {
    !text.contains('/') && !["", ".", ".."].contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn as_containerd_calls_it() {
        let args = parse(
            "-namespace default -address /run/c.sock -publish-binary /usr/bin/containerd \
             -id redis -bundle /run/b -debug delete",
        )
        .unwrap();
        assert_eq!(args.action, Action::Delete);
        assert_eq!(
            (args.namespace.as_str(), args.id.as_str()),
            ("default", "redis")
        );
        assert_eq!(args.address, "/run/c.sock");
        assert_eq!(args.bundle, Some("/run/b".into()));
        assert!(args.debug);
    }

    #[test]
    fn both_spellings_of_a_flag() {
        let args = parse("--namespace=k8s.io --id=a -debug=false start").unwrap();
        assert_eq!(args.action, Action::Start);
        assert_eq!(args.namespace, "k8s.io");
        assert!(!args.debug);
        assert_eq!(parse("-v").unwrap().action, Action::Version);
        assert_eq!(parse("-info").unwrap().action, Action::Info);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, says) in [
            ("-id a start", "-namespace is missing"),
            ("-namespace n start", "-id is missing"),
            ("-namespace n -id ../x start", "not a name"),
            ("-namespace n -id a restart", "no such action: restart"),
            ("-namespace n -id", "-id needs a value"),
            ("-what n", "no such flag: -what"),
            ("-namespace n -id a", "no action"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(says), "{line}: {error}");
        }
    }
}
