//! One question over HTTP, and when its answer comes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// When an answer came, after it was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    /// The first byte of its body.
    pub(super) first: Duration,
    /// The last one.
    pub(super) whole: Duration,
}

/// Says something in a conversation, on a connection of its own, and waits for the end of the answer.
pub(super) async fn ask(address: &str, conversation: &str, accept: &str) -> Result<Answered> {
    let body = serde_json::json!({"text": "Do you remember what I told you about #lisbon?"}).to_string();
    let request = format!(
        "POST /v1/conversations/{conversation}/messages HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\naccept: {accept}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(request.as_bytes()).await?;
    let (mut answer, mut first) = (Vec::with_capacity(8192), None);
    while stream.read_buf(&mut answer).await? > 0 {
        let begun = answer.windows(4).position(|window| window == b"\r\n\r\n").is_some_and(|end| answer.len() > end + 4);
        if begun && first.is_none() {
            first = Some(began.elapsed());
        }
    }
    let whole = began.elapsed();
    let text = String::from_utf8_lossy(&answer);
    ensure!(text.starts_with("HTTP/1.1 200") && text.contains("lisbon"), "an answer that is none: {text}");
    Ok(Answered { first: first.context("an answer without a body")?, whole })
}
