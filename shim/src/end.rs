use tokio::sync::Notify;

use crate::address::OwnSocket;

/// The end of a server: decided once, when nothing is left to serve.
#[derive(Debug)]
pub struct End {
    socket: Option<OwnSocket>,
    come: Notify,
}

impl End {
    pub fn new(socket: Option<OwnSocket>) -> Self {
        Self {
            socket,
            come: Notify::new(),
        }
    }

    /// Gives up the socket at once, so that nobody who comes from here on is
    /// sent to a server that ends.
    pub fn decide(&self) {
        if let Some(socket) = &self.socket {
            socket.remove();
        }
        self.come.notify_one();
    }

    pub async fn decided(&self) {
        self.come.notified().await;
    }
}
