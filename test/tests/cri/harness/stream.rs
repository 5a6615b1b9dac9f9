//! Exec and Attach: the streams of a process over a WebSocket, each frame with
//! its channel's number before it (Kubernetes' protocols `channel.k8s.io`).

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::client::Client;

/// How the process ended comes as a status, as JSON. The fifth, which can close
/// one stream by itself, is refused by all containerds here.
pub const V4: &str = "v4.channel.k8s.io";

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;

/// More than any answer here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// An open connection.
#[derive(Debug)]
pub struct Stream<'a> {
    client: &'a Client,
    socket: WebSocketStream<TcpStream>,
    received: Ended,
}

/// All that came.
#[derive(Debug, Default)]
pub struct Ended {
    pub stdout: String,
    pub stderr: String,
    pub status: Value,
}

impl Ended {
    /// The exit code that the status tells.
    pub fn code(&self) -> i64 {
        if self.status["status"] == "Success" {
            return 0;
        }
        assert_eq!(self.status["reason"], "NonZeroExitCode", "{self:?}");
        let causes = self.status["details"]["causes"].as_array().expect("causes");
        let code = causes.iter().find(|cause| cause["reason"] == "ExitCode");
        let code = code.and_then(|cause| cause["message"].as_str()?.parse().ok());
        code.expect("an exit code")
    }
}

impl<'a> Stream<'a> {
    pub fn open(client: &'a Client, url: &str, protocol: &'static str) -> Self {
        let stream = Self::try_open(client, url, protocol);
        stream.unwrap_or_else(|error| panic!("{protocol} at {url}: {error}"))
    }

    fn try_open(
        client: &'a Client,
        url: &str,
        protocol: &'static str,
    ) -> Result<Self, tokio_tungstenite::tungstenite::Error> {
        let mut request = url.replacen("http://", "ws://", 1).into_client_request()?;
        let address = request.uri().authority().expect("an address").to_string();
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", protocol.parse()?);
        let (socket, answer) = client.wait(async {
            let tcp = TcpStream::connect(address).await?;
            client_async(request, tcp).await
        })?;
        assert_eq!(answer.headers()["Sec-WebSocket-Protocol"], protocol);
        Ok(Self {
            client,
            socket,
            received: Ended::default(),
        })
    }

    pub fn send(&mut self, text: &str) -> &mut Self {
        self.write(STDIN, text.as_bytes());
        self
    }

    pub fn resize(&mut self, width: u16, height: u16) -> &mut Self {
        let size = format!("{{\"Width\":{width},\"Height\":{height}}}");
        self.write(RESIZE, size.as_bytes());
        self
    }

    fn write(&mut self, channel: u8, bytes: &[u8]) {
        let frame = [&[channel], bytes].concat();
        let sent = self.socket.send(Message::binary(frame));
        self.client.wait(sent).expect("an open connection");
    }

    /// Waits until this was said on stdout.
    pub fn expect(&mut self, text: &str) -> &mut Self {
        while !self.received.stdout.contains(text) {
            assert!(self.read(), "no {text:?}: {:?}", self.received);
        }
        self
    }

    /// Reads to the end.
    pub fn end(mut self) -> Ended {
        while self.read() {}
        self.received
    }

    /// Whether there was more.
    fn read(&mut self) -> bool {
        let next = self.client.wait(async {
            let next = tokio::time::timeout(LIMIT, self.socket.next());
            next.await
        });
        let next = next.unwrap_or_else(|_| panic!("nothing more came: {:?}", self.received));
        let frame = match next {
            Some(Ok(Message::Binary(frame))) => frame,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return false,
            Some(Ok(_)) => return true,
        };
        let Some((channel, bytes)) = frame.split_first() else {
            return true;
        };
        let text = String::from_utf8_lossy(bytes);
        match *channel {
            STDOUT => self.received.stdout += &text,
            STDERR => self.received.stderr += &text,
            // An empty one opens the channel.
            STATUS if !bytes.is_empty() => {
                self.received.status = serde_json::from_slice(bytes).expect("a status");
            }
            _ => {}
        }
        true
    }
}
