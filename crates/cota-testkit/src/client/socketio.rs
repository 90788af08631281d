//! A client of Socket.IO over a WebSocket, as little as a proof needs: events without answers, and no binary values.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// The packets' marks.
const OPEN: &str = "0";
const PING: &str = "2";
const PONG: &str = "3";
const CONNECT: &str = "40";
const EVENT: &str = "42";

/// One connection of one sender.
pub struct SocketIo(WebSocketStream<TcpStream>);

impl SocketIo {
    /// Connects, and enters the main namespace.
    pub async fn connect(address: &str, sender: &str) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket&sender_id={sender}");
        let (stream, _) = tokio_tungstenite::client_async(url, tcp).await.unwrap();
        let mut connection = Self(stream);
        connection.packet(OPEN).await;
        connection.send(CONNECT).await;
        connection.packet(CONNECT).await;
        connection
    }

    /// Emits an event.
    pub async fn emit(&mut self, name: &str, content: &Json) {
        self.send(&format!("{EVENT}{}", json!([name, content]))).await;
    }

    /// The content of the next event of this name.
    pub async fn until(&mut self, name: &str, wanted: impl Fn(&Json) -> bool) -> Json {
        loop {
            let mut event: Json = serde_json::from_str(&self.packet(EVENT).await).unwrap();
            if event[0] == name && wanted(&event[1]) {
                return event[1].take();
            }
        }
    }

    /// Ends with the connection, whatever still comes.
    pub async fn ended(mut self) {
        while let Some(Ok(message)) = self.0.next().await {
            if message == Message::text(PING) {
                // Whether it is heard is seen from what comes next.
                let _ = self.0.send(Message::text(PONG)).await;
            }
        }
    }

    /// What the next packet with this mark holds.
    async fn packet(&mut self, mark: &str) -> String {
        loop {
            let Message::Text(packet) = self.0.next().await.expect("the server is gone").unwrap() else { continue };
            if packet.as_str() == PING {
                self.send(PONG).await;
            } else if let Some(content) = packet.strip_prefix(mark) {
                return content.to_owned();
            }
        }
    }

    async fn send(&mut self, packet: &str) {
        self.0.send(Message::text(packet)).await.unwrap();
    }
}
