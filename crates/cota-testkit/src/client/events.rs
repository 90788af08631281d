//! A client of COTA's SSE channel: one event stream of one sender, and what it posts.

use std::collections::VecDeque;

use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::http::{self, Response};

/// An open stream.
pub struct Events {
    stream: BufReader<TcpStream>,
    /// What came of an event that is not whole yet.
    text: String,
    frames: VecDeque<Json>,
    /// The last id that came.
    pub id: String,
}

impl Events {
    /// Opens a stream, which goes on behind an id.
    pub async fn open(address: &str, sender: &str, last_id: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET /sse?sender_id={sender} HTTP/1.1\r\nhost: {address}\r\nlast-event-id: {last_id}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut events = Self { stream: BufReader::new(stream), text: String::new(), frames: VecDeque::new(), id: last_id.to_owned() };
        let status = events.line().await;
        assert!(status.contains(" 200 "), "{status}");
        while !events.line().await.is_empty() {}
        let login = events.next().await;
        assert_eq!((&login["type"], &login["sender_id"]), (&Json::from("login"), &Json::from(sender)));
        events
    }

    /// The next frame.
    pub async fn next(&mut self) -> Json {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return frame;
            }
            let length = self.line().await;
            let mut chunk = vec![0; usize::from_str_radix(&length, 16).expect("the stream goes on in chunks")];
            assert!(!chunk.is_empty(), "the stream ended");
            self.stream.read_exact(&mut chunk).await.unwrap();
            self.line().await;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                self.take(&event);
            }
        }
    }

    /// The next frame of a kind.
    pub async fn until(&mut self, wanted: impl Fn(&Json) -> bool) -> Json {
        loop {
            let frame = self.next().await;
            if wanted(&frame) {
                return frame;
            }
        }
    }

    fn take(&mut self, event: &str) {
        for line in event.lines() {
            if let Some(id) = line.strip_prefix("id: ") {
                id.clone_into(&mut self.id);
            }
            if let Some(frame) = line.strip_prefix("data: ") {
                self.frames.push_back(serde_json::from_str(frame).unwrap());
            }
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.stream.read_line(&mut line).await.unwrap(), 0, "the server is gone");
        line.trim_end().to_owned()
    }
}

/// Posts a frame of a sender.
pub async fn post(address: &str, sender: &str, mut frame: Json) -> Response {
    frame["sender_id"] = sender.into();
    http::post(address, "/sse/message", &[], frame.to_string().as_bytes()).await.unwrap()
}
