use std::path::{Path, PathBuf};

use oci_spec::runtime::{Process, Spec};

use crate::mounts;
use crate::preopen::{Preopen, preopens};
use crate::{Candidate, Error, Result, START, Wishes, entrypoint};

/// Where Docker mounts the program that is to be a container's init.
const DOCKER_INIT: &str = "/sbin/docker-init";

/// What to run: the process of `config.json` as the guest is to see it.
#[derive(Debug, Clone)]
pub struct Workload {
    /// `process.args`; the first may name a function too, see [`Candidate`].
    pub args: Vec<String>,
    /// `process.env`, `NAME=value`, in order.
    pub env: Vec<String>,
    /// `process.cwd`, absolute.
    pub cwd: PathBuf,
    /// `process.apparmorProfile`, if there is one to apply.
    pub apparmor_profile: Option<String>,
    /// `process.selinuxLabel`, if there is one to apply.
    pub selinux_label: Option<String>,
    /// `process.terminal`.
    pub terminal: bool,
    /// The folders a Wasm guest finds open.
    pub preopens: Vec<Preopen>,
    /// What the annotations ask for.
    pub wishes: Wishes,
    /// `linux.resources.memory.limit`, in bytes.
    pub memory_limit: Option<u64>,
}

impl Workload {
    /// The container's first process.
    pub fn from_spec(spec: &Spec) -> Result<Self> {
        let process = spec.process().as_ref().ok_or(Error::Missing("process"))?;
        Self::of_process(spec, process)
    }

    /// Another process of the container.
    pub fn of_process(spec: &Spec, process: &Process) -> Result<Self> {
        let args = process.args().clone().unwrap_or_default();
        if args.is_empty() {
            return Err(Error::NoArgs);
        }
        let env = process.env().clone().unwrap_or_default();
        refuse_nul("argument", &args)?;
        refuse_nul("environment entry", &env)?;
        let cwd = process.cwd().clone();
        if !cwd.is_absolute() {
            return Err(Error::RelativeCwd(cwd));
        }
        mounts::check(spec.mounts().as_deref())?;
        Ok(Self {
            args,
            env,
            cwd,
            apparmor_profile: given(process.apparmor_profile()),
            selinux_label: given(process.selinux_label()),
            terminal: process.terminal().unwrap_or_default(),
            preopens: preopens(spec.mounts().as_deref()),
            wishes: Wishes::from_annotations(spec.annotations().as_ref())?,
            memory_limit: memory_limit(spec),
        })
    }

    /// Where the program may lie in the container, in the order to try.
    pub fn candidates(&self) -> Vec<Candidate> {
        entrypoint::candidates(&self.args[0], self.variable("PATH"), &self.cwd)
    }

    /// The program, if it is no file of the container but came by itself, as
    /// `shown`: then `process.args[0]` is no more than the name that it is told
    /// to have; `shown`, if it is empty. What follows the first `#` is a function
    /// here too.
    pub fn without_file(&self, shown: &Path) -> Candidate {
        let (name, function) = match self.args[0].split_once('#') {
            Some((name, function)) => (name, Some(function.to_owned())),
            None => (self.args[0].as_str(), None),
        };
        Candidate {
            path: shown.into(),
            name: match name {
                "" => shown.display().to_string(),
                name => name.into(),
            },
            function,
        }
    }

    /// What `docker run --init` puts its init before.
    pub fn without_init(&self) -> Option<Self> {
        let [init, separator, rest @ ..] = &self.args[..] else {
            return None;
        };
        let is_init = init == DOCKER_INIT && separator == "--" && !rest.is_empty();
        is_init.then(|| Self {
            args: rest.to_vec(),
            ..self.clone()
        })
    }

    /// The function that a module begins at: what the program's name says, else
    /// what the annotation says, else what WASI says.
    pub fn function<'a>(&'a self, program: &'a Candidate) -> &'a str {
        let function = program.function.as_ref();
        function
            .or(self.wishes.entrypoint.as_ref())
            .map_or(START, String::as_str)
    }

    /// The guest's argv: `argv[0]` is the program's name without a function.
    pub fn wasi_args(&self, program: &Candidate) -> Vec<String> {
        let rest = self.args.iter().skip(1);
        std::iter::once(&program.name)
            .chain(rest)
            .cloned()
            .collect()
    }

    /// The environment of a Wasm guest: that of `config.json`, and `PWD`, which
    /// is how WASI programs (Go's among them) learn their working directory.
    pub fn wasi_environ(&self) -> Vec<String> {
        let mut environ = self.env.clone();
        if self.variable("PWD").is_none() {
            environ.push(format!("PWD={}", self.cwd.display()));
        }
        environ
    }

    /// The value of an environment variable; as in a shell, the last one counts.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env
            .iter()
            .rev()
            .find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
    }
}

/// An empty text is how some say that there is none.
fn given(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

/// Zero and below is how some say that there is no limit.
fn memory_limit(spec: &Spec) -> Option<u64> {
    let resources = spec.linux().as_ref()?.resources().as_ref()?;
    let limit = resources.memory().as_ref()?.limit()?;
    u64::try_from(limit).ok().filter(|limit| *limit > 0)
}

fn refuse_nul(what: &'static str, values: &[String]) -> Result<()> {
    match values.iter().find(|value| value.contains('\0')) {
        Some(value) => Err(Error::Nul {
            what,
            value: value.clone(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `process`: the fields of it but `user`.
    fn workload(process: &str) -> Result<Workload> {
        let fields = process.trim_start_matches('{');
        let process = format!(r#"{{"user":{{"uid":0,"gid":0}},{fields}"#);
        let config = format!(r#"{{"ociVersion":"1.0.0","process":{process}}}"#);
        Workload::from_spec(&serde_json::from_str(&config).unwrap())
    }

    #[test]
    fn args_and_env_are_taken_as_given() {
        let workload = workload(
            r#"{"cwd":"/work","args":["app.wasm","","two words","grün"],"env":["A=1","PATH=/bin","A=2","B="]}"#,
        )
        .unwrap();
        assert_eq!(workload.args, ["app.wasm", "", "two words", "grün"]);
        assert_eq!(
            workload.wasi_environ(),
            ["A=1", "PATH=/bin", "A=2", "B=", "PWD=/work"]
        );
        assert_eq!(workload.variable("A"), Some("2"));
        assert_eq!(workload.variable("B"), Some(""));
        assert_eq!(workload.variable("C"), None);
        assert_eq!(
            workload.candidates()[0].path,
            PathBuf::from("/bin/app.wasm")
        );
    }

    #[test]
    fn an_empty_label_or_profile_is_none() {
        let fields = r#""cwd":"/","args":["a"],"selinuxLabel":"""#;
        let none = workload(&format!(r#"{{{fields},"apparmorProfile":""}}"#)).unwrap();
        assert_eq!(none.apparmor_profile, None);
        let some = workload(&format!(r#"{{{fields},"apparmorProfile":"p"}}"#)).unwrap();
        assert_eq!(some.apparmor_profile.as_deref(), Some("p"));
    }

    #[test]
    fn pwd_of_the_user_stays() {
        let workload = workload(r#"{"cwd":"/work","args":["a"],"env":["PWD=/mine"]}"#).unwrap();
        assert_eq!(workload.wasi_environ(), ["PWD=/mine"]);
    }

    #[test]
    fn the_fragment_wins_over_the_annotation() {
        let mut workload = workload(r#"{"cwd":"/","args":["/a.wasm#go","b"]}"#).unwrap();
        let candidates = workload.candidates();
        let [whole, split] = &candidates[..] else {
            panic!("{candidates:?}");
        };
        assert_eq!(workload.function(whole), START);
        assert_eq!(workload.function(split), "go");
        assert_eq!(workload.wasi_args(whole), ["/a.wasm#go", "b"]);
        assert_eq!(workload.wasi_args(split), ["/a.wasm", "b"]);
        workload.wishes.entrypoint = Some("run".into());
        assert_eq!(workload.function(whole), "run");
        assert_eq!(workload.function(split), "go");
    }

    #[test]
    fn a_program_without_a_file_has_the_name_it_is_given() {
        let program = |arg: &str| {
            let workload = workload(&format!(r#"{{"cwd":"/","args":["{arg}"]}}"#)).unwrap();
            let program = workload.without_file(Path::new("app.wasm"));
            assert_eq!(program.path, Path::new("app.wasm"));
            let function = workload.function(&program).to_owned();
            (program.name, function)
        };
        let pair = |name: &str, function: &str| (name.to_owned(), function.to_owned());
        assert_eq!(program("my-app"), pair("my-app", START));
        assert_eq!(program("/x.wasm#go"), pair("/x.wasm", "go"));
        assert_eq!(program("#go"), pair("app.wasm", "go"));
        assert_eq!(program("a#b#c"), pair("a", "b#c"));
        assert_eq!(program(""), pair("app.wasm", START));
    }

    #[test]
    fn dockers_init_is_told_from_a_program() {
        let without = |args: &str| {
            let process = format!(r#"{{"cwd":"/","args":{args}}}"#);
            workload(&process).unwrap().without_init()
        };
        let found = without(r#"["/sbin/docker-init","--","/a.wasm","--","b"]"#).unwrap();
        assert_eq!(found.args, ["/a.wasm", "--", "b"]);
        for other in [
            r#"["/sbin/docker-init","--"]"#,
            r#"["/sbin/docker-init","/a.wasm"]"#,
            r#"["/a.wasm","--","b"]"#,
        ] {
            assert!(without(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_memory_limit_is_a_positive_one() {
        let limit = |linux: &str| {
            let config = format!(r#"{{"ociVersion":"1.0.0","linux":{linux}}}"#);
            memory_limit(&serde_json::from_str(&config).unwrap())
        };
        assert_eq!(limit("{}"), None);
        let of = |limit: &str| format!(r#"{{"resources":{{"memory":{{"limit":{limit}}}}}}}"#);
        assert_eq!(limit(&of("4096")), Some(4096));
        assert_eq!(limit(&of("-1")), None);
        assert_eq!(limit(&of("0")), None);
    }

    #[test]
    fn refuses_what_cannot_run() {
        assert!(matches!(workload(r#"{"cwd":"/"}"#), Err(Error::NoArgs)));
        assert!(matches!(
            workload(r#"{"cwd":"/","args":[]}"#),
            Err(Error::NoArgs)
        ));
        assert!(matches!(
            workload(r#"{"cwd":"work","args":["a"]}"#),
            Err(Error::RelativeCwd(_))
        ));
        let nul = workload(r#"{"cwd":"/","args":["a","b\u0000c"]}"#).unwrap_err();
        assert!(nul.to_string().contains("NUL"));
    }
}
