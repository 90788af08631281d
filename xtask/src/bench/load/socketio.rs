//! As little of Socket.IO as a client needs on a WebSocket: COTA's events, and answers to the server's pings.

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// One connection in the main namespace.
pub(crate) struct SocketIo {
    stream: WebSocketStream<TcpStream>,
    sender: String,
}

impl SocketIo {
    pub(crate) async fn connect(address: &str, sender: &str) -> Result<Self> {
        let tcp = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        tcp.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let (stream, _) = tokio_tungstenite::client_async_with_config(url, tcp, Some(config)).await.context("no WebSocket")?;
        let mut socket = Self { stream, sender: sender.to_owned() };
        socket.until("0{").await?;
        socket.send("40".to_owned()).await?;
        socket.until("40{").await?;
        Ok(socket)
    }

    /// Joins a conversation.
    pub(crate) async fn join(&mut self, session: &str) -> Result<()> {
        self.emit("join", &json!({"session_id": session, "sender_id": self.sender})).await?;
        self.until("\"join_confirm\"").await.map(drop)
    }

    /// Leaves a conversation.
    pub(crate) async fn leave(&mut self, session: &str) -> Result<()> {
        self.emit("session_leave", &json!({"session_id": session})).await
    }

    /// Says something and returns the bot's event.
    pub(crate) async fn say(&mut self, session: &str, text: &str) -> Result<String> {
        self.emit("message", &json!({"session_id": session, "sender_id": self.sender, "text": text})).await?;
        self.until("\"sender\":\"bot\"").await
    }

    async fn emit(&mut self, name: &str, content: &serde_json::Value) -> Result<()> {
        self.send(format!("42{}", json!([name, content]))).await
    }

    async fn send(&mut self, packet: String) -> Result<()> {
        Ok(self.stream.send(Message::text(packet)).await?)
    }

    /// The next packet that has these words.
    async fn until(&mut self, words: &str) -> Result<String> {
        while let Some(message) = self.stream.next().await {
            let Message::Text(packet) = message? else {
                continue;
            };
            if packet.as_str() == "2" {
                self.send("3".to_owned()).await?;
            } else if packet.contains(words) {
                return Ok(packet.to_string());
            } else if packet.contains("error\"") {
                bail!("an error: {packet}");
            }
        }
        bail!("the socket was closed")
    }
}
