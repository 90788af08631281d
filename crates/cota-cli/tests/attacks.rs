//! Attacks over real sockets: what must not get in is refused, and the server serves on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

#[path = "../../cota-gateway/tests/support/mod.rs"]
mod support;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tempfile::{TempDir, tempdir};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::{WebSocketStream, client_async};

use cota_cli::native::{SystemChance, allow_open_files};
use cota_cli::server::{bind, serve};
use cota_core::bot::OnBusy;
use cota_driver::ledger::MemoryLedger;
use cota_gateway::identity::{Identities, keys};
use cota_gateway::{Access, Scopes};
use support::{START, world_with};

/// A server that identifies its callers, and a key for it.
struct Server {
    address: SocketAddr,
    key: String,
}

impl Server {
    async fn start() -> Self {
        let ledger = Arc::<MemoryLedger>::default();
        let world = world_with(OnBusy::Queue, |options| {
            let identities = Identities::new(ledger.clone(), options.clock.clone(), Arc::new(SystemChance));
            options.access = Access::On(Arc::new(identities));
        });
        let key = keys::create(ledger.as_ref(), &SystemChance, "", Scopes::CHAT, START, None).await.ok().unwrap().text;
        let listener = bind("127.0.0.1", 0).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, world.host.clone(), world.options.clone(), std::future::pending()));
        Self { address, key }
    }

    /// What comes back for these bytes, to the connection's end.
    async fn send(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // A server that refuses early may close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn ask(&self, line: &str, headers: &str, body: &str) -> (u16, String) {
        let key = &self.key;
        let length = body.len();
        let head =
            format!("{line} HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n");
        let answer = self.send(format!("{head}{body}").as_bytes()).await;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, answer)
    }

    async fn open(&self, path: &str) -> Result<WebSocketStream<TcpStream>, Error> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        within(client_async(format!("ws://{}{path}", self.address), stream)).await.map(|(socket, _)| socket)
    }

    async fn serves_on(&self) {
        let body = json!({"text": "hi", "sender_id": "ana"}).to_string();
        let headers = "Host: localhost\r\nContent-Type: application/json\r\n";
        let (status, answer) = self.ask("POST /v1/conversations/ok/messages", headers, &body).await;
        assert!(status == 200 && answer.contains("you said: hi"), "{answer}");
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.expect("it takes too long")
}

#[tokio::test]
async fn headers_and_paths_play_no_tricks() {
    let server = Server::start().await;
    for (line, headers, expected) in [
        ("GET /health", "Host: rebound.example\r\n", 403),
        ("GET /health", "Host: localhost\r\nOrigin: https://evil.example\r\n", 403),
        ("GET http://rebound.example/health", "", 403),
        ("GET /v1/conversations/c1?sender_id=ana", "Host: localhost\r\nAuthorization: Bearer x\r\n", 400),
        ("GET /health", "Host: localhost\r\nHost: rebound.example\r\n", 400),
        ("GET /health", "Host: localhost\r\nOrigin: http://localhost\r\nOrigin: https://evil.example\r\n", 400),
        ("GET /v1/conversations/../../health", "Host: localhost\r\n", 404),
        ("GET /v1/conversations/%2e%2e%2fhealth?sender_id=ana", "Host: localhost\r\n", 404),
        ("GET /v1/conversations/a%00b?sender_id=ana", "Host: localhost\r\n", 400),
        ("GET /v1/conversations/a%0d%0ab?sender_id=ana", "Host: localhost\r\n", 400),
        ("GET /v1/conversations/%ff?sender_id=ana", "Host: localhost\r\n", 400),
        ("GET /v1//conversations/c1?sender_id=ana", "Host: localhost\r\n", 404),
        ("GET /page/..%2f..%2fCargo.toml", "Host: localhost\r\n", 404),
        ("GET /page/%2e%2e/openapi.json", "Host: localhost\r\n", 404),
        ("GET /v1/conversations/c1?sender_id=ana&sender_id=bo", "Host: localhost\r\n", 400),
        ("GET /v1/conversations/c1?sender_id=a%0Ab", "Host: localhost\r\n", 400),
        ("GET /v1/conversations/c1?sender_id=ana", "Host: localhost\r\nX-Forwarded-For: 127.0.0.1\r\nX-Original-URL: /health\r\n", 404),
        ("TRACE /v1/conversations/c1?sender_id=ana", "Host: localhost\r\n", 405),
    ] {
        let (status, answer) = server.ask(line, headers, "").await;
        assert_eq!(status, expected, "{line} {headers:?}: {answer}");
        assert!(!answer.contains(&server.key), "a key is not repeated: {answer}");
    }
    server.serves_on().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let server = Server::start().await;
    let headers = "Host: localhost\r\nContent-Type: application/json\r\n";
    let body = json!({"sender_id": "ana", "text": "x".repeat(64 * 1024)}).to_string();
    assert_eq!(server.ask("POST /v1/conversations/c1/messages", headers, &body).await.0, 413);
    let many = format!("{headers}{}", "X-Filler: y\r\n".repeat(4000));
    let (status, answer) = server.ask("GET /health", &many, "").await;
    assert!(status == 431 || answer.is_empty(), "{answer}");
    let long = format!("GET /v1/conversations/{}?sender_id=ana", "x".repeat(129));
    assert_eq!(server.ask(&long, "Host: localhost\r\n", "").await.0, 400, "an id has at most 128 characters");
    for part in ["/v1/conversations/", "/health?x=", "/page/"] {
        let (status, answer) = server.ask(&format!("GET {part}{}", "x".repeat(70_000)), "Host: localhost\r\n", "").await;
        assert!(matches!(status, 414 | 431) || answer.is_empty(), "{answer}");
    }
    let (status, answer) = server.ask("GET /health", &format!("Host: localhost\r\nX-Filler: {}\r\n", "y".repeat(70_000)), "").await;
    assert!(status == 431 || answer.is_empty(), "{answer}");
    let smuggled = "POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /";
    let answer = server.send(format!("{smuggled}metrics HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n").as_bytes()).await;
    assert!(!answer.contains("cota_"), "{answer}");
    server.serves_on().await;
}

#[tokio::test]
async fn ten_thousand_half_open_connections_keep_nobody_out() {
    allow_open_files();
    let server = Process::start();
    let mut held = Vec::new();
    for n in 0..HALF_OPEN {
        let mut stream = TcpStream::connect(&server.address).await.unwrap_or_else(|error| panic!("connection {n}: {error}"));
        let begin: &[u8] = match n % 3 {
            0 => b"",
            1 => b"POST /v1/conversations/c1/messages HTTP/1.1\r\nHost: loc",
            _ => b"POST /v1/conversations/c1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
        };
        stream.write_all(begin).await.unwrap();
        held.push(stream);
    }
    for _ in 0..5 {
        server.serves_on().await;
    }
    drop(held);
    server.serves_on().await;
}

/// Connections of which each has its end in another process: a process that may open fewer files is not one to serve so many.
const HALF_OPEN: usize = 10_000;

/// `cota run` in a process of its own.
struct Process {
    child: Child,
    address: String,
    _home: TempDir,
}

impl Process {
    fn start() -> Self {
        let (home, bot) = (tempdir().unwrap(), concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/weather"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_cota"));
        command.args(["run", bot, "--port", "0", "--store", "memory", "--log-level", "error"]).current_dir(home.path());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("Listening on http://").unwrap_or_else(|| panic!("no address in `{line}`")).to_owned();
        Self { child, address, _home: home }
    }

    async fn serves_on(&self) {
        let body = r#"{"text": "hello"}"#;
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let head = "POST /v1/conversations/ok/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close";
        stream.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_socket_opens_once_for_a_ticket() {
    let server = Server::start().await;
    let status = |opened: Result<_, Error>| match opened {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{other}"),
        Ok(_) => 101,
    };
    let (made, answer) = server.ask("POST /v1/tickets?sender_id=ana", "Host: localhost\r\n", "").await;
    assert_eq!(made, 201, "{answer}");
    let body: Json = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let path = format!("/websocket?ticket={}", body["ticket"].as_str().unwrap());
    assert_eq!(status(server.open("/websocket?sender_id=ana").await), 401);
    assert_eq!(status(server.open(&format!("{path}&sender_id=bo")).await), 403, "of another sender; and used with that");
    assert_eq!(status(server.open(&path).await), 401);
    let (_, answer) = server.ask("POST /v1/tickets?sender_id=ana", "Host: localhost\r\n", "").await;
    let body: Json = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let path = format!("/websocket?ticket={}", body["ticket"].as_str().unwrap());
    assert_eq!(status(server.open(&path).await), 101);
    assert_eq!(status(server.open(&path).await), 401);
}
