//! One HTTP request on a connection of its own. It sends any bytes as they are, which a well-behaved client would not.

use std::io;

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What came back.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The head as it came, in lower case.
    head: String,
    /// The body.
    pub body: String,
}

impl Response {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The texts of the bot's replies.
    pub fn replies(&self) -> Vec<String> {
        let json = self.json();
        let replies = json["replies"].as_array().into_iter().flatten();
        replies.filter_map(|reply| reply["text"].as_str().map(str::to_owned)).collect()
    }

    /// What a header says; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The code of a problem.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Gets what is at a path.
///
/// # Errors
/// When no whole answer comes.
pub async fn get(address: &str, path: &str) -> io::Result<Response> {
    exchange(address, "GET", path, &[], b"").await
}

/// Posts JSON to a path, with more headers.
///
/// # Errors
/// When no whole answer comes.
pub async fn post(address: &str, path: &str, headers: &[&str], body: &[u8]) -> io::Result<Response> {
    exchange(address, "POST", path, headers, body).await
}

/// Says something in a conversation.
///
/// # Panics
/// When no whole answer comes.
pub async fn say(address: &str, conversation: &str, body: &Json) -> Response {
    post(address, &format!("/v1/conversations/{conversation}/messages"), &[], body.to_string().as_bytes()).await.unwrap()
}

/// One request and its answer.
///
/// # Errors
/// When no whole answer comes.
pub async fn exchange(address: &str, method: &str, path: &str, headers: &[&str], body: &[u8]) -> io::Result<Response> {
    let mut stream = TcpStream::connect(address).await?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    if !body.is_empty() {
        head.push_str("content-type: application/json\r\n");
    }
    headers.iter().for_each(|header| head.extend([header, "\r\n"]));
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    read(&answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn read(answer: &[u8]) -> Option<Response> {
    let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (String::from_utf8_lossy(&answer[..head_end]).to_lowercase(), &answer[head_end + 4..]);
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = if head.contains("transfer-encoding: chunked") { unchunk(body)? } else { body.to_vec() };
    Some(Response { status, head, body: String::from_utf8(body).ok()? })
}

/// The body that chunks make up; none where it is cut.
fn unchunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line_end = body.windows(2).position(|window| window == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&body[..line_end]).ok()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(whole);
        }
        whole.extend(body.get(line_end + 2..line_end + 2 + length)?);
        body = body.get(line_end + 4 + length..)?;
    }
}
