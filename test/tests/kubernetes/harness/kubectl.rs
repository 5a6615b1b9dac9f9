//! `kubectl`, in a namespace of a test.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use shim_test::command::{self, Output};
use shim_test::live::Live;

use super::credentials::Credentials;

/// More than any command here takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(150);
/// What kubectl is told to wait: less, so that it says what it waited for.
const WAIT: &str = "--timeout=120s";

/// Commands for one namespace.
#[derive(Debug)]
pub struct Kubectl<'a> {
    credentials: &'a Credentials,
    namespace: &'a str,
}

impl<'a> Kubectl<'a> {
    pub fn new(credentials: &'a Credentials, namespace: &'a str) -> Self {
        Self {
            credentials,
            namespace,
        }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.credentials.kubectl();
        command.arg("--namespace").arg(self.namespace).args(args);
        command
    }

    /// A shell with the cluster's environment.
    pub fn shell(&self) -> Command {
        self.credentials.command("bash")
    }

    pub fn call(&self, args: &[&str]) -> Output {
        command::output(self.command(args), LIMIT)
    }

    /// The same with input.
    pub fn feed(&self, args: &[&str], input: &str) -> Output {
        let bytes = input.as_bytes();
        command::output_with(self.command(args), LIMIT, move |mut stdin| {
            // Who ends early says why.
            drop(stdin.write_all(bytes));
        })
    }

    /// A command that runs while the test does something else.
    pub fn start(&self, args: &[&str]) -> Live {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Live::new(command, self.namespace.into())
    }

    pub fn apply(&self, object: &Value) {
        self.feed(&["apply", "--filename=-"], &object.to_string())
            .success();
    }

    pub fn wait(&self, what: &str, condition: &str) -> Output {
        self.call(&["wait", what, &format!("--for={condition}"), WAIT])
    }

    /// The object as JSON.
    pub fn get(&self, what: &str) -> Value {
        let text = self.call(&["get", what, "--output=json"]).success();
        serde_json::from_str(&text).expect("JSON of kubectl")
    }
}
