//! What a container is to be, whoever says it: `ctr run`, or a Kubernetes Job.

use std::collections::BTreeMap;
use std::path::Path;

use crate::paths;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub image: String,
    /// The program and its arguments; none: the image's own.
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// By destination.
    pub mounts: BTreeMap<String, Mount>,
    /// In bytes.
    pub memory: Option<u64>,
    pub cpus: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Mount {
    /// The last part of the source's path: the rest is of the machine.
    pub name: String,
    pub read_only: bool,
}

impl Mount {
    pub fn new(source: &str, read_only: bool) -> Self {
        let name = Path::new(source).file_name().expect("a source with a name");
        let name = name.to_string_lossy().into_owned();
        Self { name, read_only }
    }
}

impl Wanted {
    /// What `ctr run` with these arguments asks for. Panics at a flag that is
    /// not known here, as it would not be compared.
    pub fn of_ctr(args: &[String]) -> Self {
        let mut wanted = Self::default();
        let mut args = args.iter().map(String::as_str);
        let mut name = None;
        while let Some(arg) = args.next() {
            let mut value = || args.next().expect("the value of a flag");
            match arg {
                "--rm" => {}
                "--runtime" => assert_eq!(value(), paths::WASM),
                "--platform" => assert_eq!(value(), "wasi/wasm"),
                "--env" => wanted.env.extend([pair(value())]),
                "--annotation" => wanted.annotations.extend([pair(value())]),
                "--mount" => wanted.mounts.extend([mount(value())]),
                "--memory-limit" => wanted.memory = value().parse().ok(),
                "--cpus" => wanted.cpus = Some(value().into()),
                flag if flag.starts_with('-') => panic!("unknown flag {flag}"),
                image => {
                    wanted.image = image.into();
                    name = args.next();
                    wanted.command = args.by_ref().map(String::from).collect();
                }
            }
        }
        name.expect("a container's name");
        wanted
    }
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').expect("name=value");
    (name.into(), value.into())
}

/// `type=bind,src=…,dst=…,options=rbind:ro`
fn mount(text: &str) -> (String, Mount) {
    let mut fields: BTreeMap<_, _> = text.split(',').map(pair).collect();
    let mut take = |name: &str| fields.remove(name).expect("a field of a mount");
    let (kind, options) = (take("type"), take("options"));
    assert_eq!(kind, "bind");
    assert!(["rbind:ro", "rbind:rw"].contains(&options.as_str()));
    let mount = Mount::new(&take("src"), options == "rbind:ro");
    let target = take("dst");
    assert!(fields.is_empty(), "{fields:?}");
    (target, mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_end_at_the_image() {
        let line = "--rm --env A=b=c --mount type=bind,src=/x/in,dst=/inputs,options=rbind:ro --cpus 2 \
             --memory-limit 4096 image name /app.wasm --env";
        let args: Vec<_> = line.split_whitespace().map(String::from).collect();
        let wanted = Wanted::of_ctr(&args);
        assert_eq!(wanted.image, "image");
        assert_eq!(wanted.command, ["/app.wasm", "--env"]);
        assert_eq!(wanted.env["A"], "b=c");
        let mount = &wanted.mounts["/inputs"];
        assert_eq!((mount.name.as_str(), mount.read_only), ("in", true));
        assert_eq!(
            (wanted.memory, wanted.cpus.as_deref()),
            (Some(4096), Some("2"))
        );
    }
}
