//! An API server that knows one request: it is enough to label a node.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::command;

/// Answers PATCH with the status and the body in the file `answer`, and writes down
/// what came in.
const SERVER: &str = r#"
import http.server, json, ssl, sys
folder = sys.argv[1]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_PATCH(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        request = {"path": self.path, "token": self.headers["authorization"], "type": self.headers["content-type"], "body": json.loads(body)}
        with open(folder + "/requests", "a") as file:
            file.write(json.dumps(request) + "\n")
        status, answer = open(folder + "/answer").read().split("\n", 1)
        self.send_response(int(status))
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/ca.crt", folder + "/key")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

#[derive(Debug)]
pub struct Api {
    pub port: String,
    folder: PathBuf,
    process: Child,
}

impl Api {
    /// The certificate goes to `ca.crt` in the folder.
    pub fn start(folder: &Path) -> Self {
        let file = |name: &str| folder.join(name).display().to_string();
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]);
        openssl.args([
            "-days",
            "2",
            "-subj",
            "/CN=api",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        openssl.args(["-keyout", &file("key"), "-out", &file("ca.crt")]);
        command::output(openssl, Duration::from_secs(30)).success();
        let mut process = Command::new("python3")
            .args(["-c", SERVER, &folder.display().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut port = String::new();
        let stdout = process.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut port)
            .expect("its port");
        let api = Self {
            port: port.trim().into(),
            folder: folder.into(),
            process,
        };
        api.answer(200, "{}");
        api
    }

    pub fn answer(&self, status: u16, body: &str) {
        std::fs::write(self.folder.join("answer"), format!("{status}\n{body}"))
            .expect("a file of this test");
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.join("requests")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
