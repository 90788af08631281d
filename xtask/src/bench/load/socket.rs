//! A WebSocket client of COTA's frames.

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// One open socket.
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
    sender: String,
}

impl Socket {
    /// Opens a socket and takes its `login` frame.
    pub(crate) async fn connect(address: &str, sender: &str) -> Result<Self> {
        let tcp = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        tcp.set_nodelay(true)?;
        // Ten thousand of them stand in one process.
        let config = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
        let url = format!("ws://{address}/websocket?sender_id={sender}");
        let (stream, _) = tokio_tungstenite::client_async_with_config(url, tcp, Some(config)).await.context("no WebSocket")?;
        let mut socket = Self { stream, sender: sender.to_owned() };
        socket.until("\"login\"").await?;
        Ok(socket)
    }

    /// Joins a conversation.
    pub(crate) async fn join(&mut self, session: &str) -> Result<()> {
        self.send(json!({"type": "join", "session_id": session, "sender_id": self.sender})).await?;
        self.until("\"join_confirm\"").await.map(drop)
    }

    /// Joins a conversation, and wants replies as they are made.
    pub(crate) async fn follow(&mut self, session: &str) -> Result<()> {
        self.send(json!({"type": "join", "session_id": session, "sender_id": self.sender, "stream": true})).await?;
        self.until("\"join_confirm\"").await.map(drop)
    }

    /// Leaves a conversation. What is still sent of it is passed over later.
    pub(crate) async fn leave(&mut self, session: &str) -> Result<()> {
        self.send(json!({"type": "leave", "session_id": session, "sender_id": self.sender})).await
    }

    /// Says something and returns the bot's frame.
    pub(crate) async fn say(&mut self, session: &str, text: &str) -> Result<String> {
        let frame = json!({"type": "text", "session_id": session, "sender_id": self.sender, "receiver": "bot", "text": text});
        self.send(frame).await?;
        self.until("\"sender\":\"bot\"").await
    }

    async fn send(&mut self, frame: serde_json::Value) -> Result<()> {
        Ok(self.stream.send(Message::text(frame.to_string())).await?)
    }

    /// The next frame that has these words.
    async fn until(&mut self, words: &str) -> Result<String> {
        while let Some(message) = self.stream.next().await {
            let Message::Text(frame) = message? else {
                continue;
            };
            if frame.contains(words) {
                return Ok(frame.to_string());
            }
            if frame.contains("\"type\":\"error\"") {
                bail!("an error frame: {frame}");
            }
        }
        bail!("the socket was closed")
    }
}
