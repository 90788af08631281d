//! As little of HTTP/1.1 as a client needs that shares its processors with what it measures.

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One connection that is kept.
pub(crate) struct HttpClient {
    stream: TcpStream,
    host: String,
    buffer: Vec<u8>,
}

impl HttpClient {
    pub(crate) async fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host: address.to_owned(), buffer: Vec::with_capacity(2048) })
    }

    /// Says something in a conversation; the status and the page that came back.
    pub(crate) async fn say(&mut self, conversation: &str, text: &str) -> Result<(u16, String)> {
        self.say_to(conversation, "", text).await
    }

    /// As [`say`](Self::say), with a query such as `?bot=name`.
    pub(crate) async fn say_to(&mut self, conversation: &str, query: &str, text: &str) -> Result<(u16, String)> {
        let body = serde_json::json!({"text": text}).to_string();
        self.send("POST", &format!("/v1/conversations/{conversation}/messages{query}"), &body).await
    }

    /// Sends a request with a body of JSON; the status and the page that came back.
    pub(crate) async fn send(&mut self, method: &str, target: &str, body: &str) -> Result<(u16, String)> {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.read().await
    }

    async fn read(&mut self) -> Result<(u16, String)> {
        self.buffer.clear();
        let head_end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(self.buffer.get(..head_end).unwrap_or_default()).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no HTTP status")?;
        let page = if head.contains("transfer-encoding: chunked") {
            self.chunks(head_end).await?
        } else {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length = length.and_then(|length| length.trim().parse().ok()).context("an answer of no known length")?;
            self.bytes(head_end, length).await?.to_vec()
        };
        Ok((status, String::from_utf8_lossy(&page).into_owned()))
    }

    /// What the chunks from a place on make up.
    async fn chunks(&mut self, mut at: usize) -> Result<Vec<u8>> {
        let mut page = Vec::new();
        loop {
            let line = loop {
                if let Some(end) = find(self.buffer.get(at..).unwrap_or_default(), b"\r\n") {
                    break self.bytes(at, end).await?;
                }
                self.more().await?;
            };
            let line_length = line.len();
            let length = usize::from_str_radix(std::str::from_utf8(line)?.trim(), 16).context("a chunk of no known length")?;
            let chunk = self.bytes(at + line_length + 2, length + 2).await?;
            page.extend_from_slice(chunk.get(..length).unwrap_or_default());
            at += line_length + length + 4;
            if length == 0 {
                return Ok(page);
            }
        }
    }

    /// So many bytes from a place on.
    async fn bytes(&mut self, at: usize, length: usize) -> Result<&[u8]> {
        while self.buffer.len() < at + length {
            self.more().await?;
        }
        Ok(self.buffer.get(at..at + length).unwrap_or_default())
    }

    async fn more(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the connection was closed");
        }
        Ok(())
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
