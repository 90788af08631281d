//! A WebSocket client of COTA's frames.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// One socket of one sender.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    sender: String,
    /// Frames that came before the one that was waited for.
    early: Vec<Json>,
}

impl Socket {
    /// Opens a socket in a conversation, and gets what the record has after `after`.
    pub async fn join(address: &str, sender: &str, session: &str, more: &Json) -> Self {
        Self::try_join(address, sender, session, more).await.expect("the server is gone")
    }

    /// As [`join`](Self::join), with this bot.
    pub async fn join_bot(address: &str, bot: &str, sender: &str, session: &str) -> Self {
        Self::join_with(address, &format!("bot={bot}"), &[], sender, session).await
    }

    /// As [`join`](Self::join), with more in the query, and with these headers.
    pub async fn join_with(address: &str, query: &str, headers: &[(&'static str, &str)], sender: &str, session: &str) -> Self {
        let mut request = format!("ws://{address}/websocket?sender_id={sender}&{query}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        Self::open(address, request, sender, session, &Json::Null).await.expect("the server is gone")
    }

    /// As [`join`](Self::join); none where the server is gone before it is done.
    pub async fn try_join(address: &str, sender: &str, session: &str, more: &Json) -> Option<Self> {
        let request = format!("ws://{address}/websocket?sender_id={sender}").into_client_request().unwrap();
        Self::open(address, request, sender, session, more).await
    }

    async fn open(address: &str, request: Request, sender: &str, session: &str, more: &Json) -> Option<Self> {
        let tcp = TcpStream::connect(address).await.ok()?;
        let (stream, _) = tokio_tungstenite::client_async(request, tcp).await.ok()?;
        let mut socket = Self { stream, sender: sender.to_owned(), early: Vec::new() };
        let login = socket.next().await?;
        assert_eq!((&login["type"], &login["sender_id"]), (&json!("login"), &json!(sender)));
        let mut frame = json!({"type": "join", "session_id": session, "sender_id": sender});
        frame.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        socket.send(&frame).await;
        socket.until(|frame| frame["type"] == "join_confirm").await?;
        Some(socket)
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: &Json) {
        self.send_raw(&frame.to_string()).await;
    }

    /// Sends a text as it is.
    pub async fn send_raw(&mut self, frame: &str) {
        // A server that dies is noticed by whoever waits for its answer.
        let _ = self.stream.send(Message::text(frame)).await;
    }

    /// Sends bytes, which no frame is made of.
    pub async fn send_bytes(&mut self, bytes: &'static [u8]) {
        let _ = self.stream.send(Message::Binary(Bytes::from_static(bytes))).await;
    }

    /// Says something under an id.
    pub async fn say(&mut self, session: &str, message_id: &str, text: &str) {
        let sender = self.sender.clone();
        let frame =
            json!({"type": "text", "session_id": session, "sender_id": sender, "receiver": "bot", "text": text, "message_id": message_id});
        self.send(&frame).await;
    }

    /// The next frame to come; none once the socket is closed.
    pub async fn next(&mut self) -> Option<Json> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(frame))) => return Some(serde_json::from_str(&frame).unwrap()),
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            }
        }
    }

    /// The next frame of a kind, where it has not come already; none once the socket is closed.
    pub async fn until(&mut self, wanted: impl Fn(&Json) -> bool) -> Option<Json> {
        if let Some(place) = self.early.iter().position(&wanted) {
            return Some(self.early.remove(place));
        }
        loop {
            let frame = self.next().await?;
            if wanted(&frame) {
                return Some(frame);
            }
            self.early.push(frame);
        }
    }

    /// The bot's answer to a message; none once the socket is closed.
    pub async fn answer_to(&mut self, message_id: &str) -> Option<Json> {
        self.until(|frame| is_from(frame, "bot") && frame["reply_to"] == message_id).await
    }

    /// The acknowledgement of a message; none once the socket is closed.
    pub async fn acknowledged(&mut self, message_id: &str) -> Option<Json> {
        self.until(|frame| is_from(frame, "user") && frame["message_id"] == message_id).await
    }
}

/// Whether a frame is something that was said, and by whom.
pub fn is_from(frame: &Json, sender: &str) -> bool {
    frame["type"] == "text" && frame["sender"] == sender
}
