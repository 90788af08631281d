//! The server over real sockets: what HTTP and WebSocket clients meet on the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

#[path = "../../cota-gateway/tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use cota_cli::server::{ServerError, bind, serve};
use support::{World, world};

/// A server on a port of its own.
struct Server {
    world: World,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let world = world();
        let listener = bind("127.0.0.1", 0).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { stopped.await.unwrap_or_default() };
        let served = tokio::spawn(serve(listener, world.host.clone(), world.options.clone(), shutdown));
        Self { world, address, stop: Some(stop), served }
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// What comes back on a connection of its own, to its end.
    async fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        answer
    }

    async fn open(&self, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, Error> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        within(client_async(request, stream)).await.map(|(socket, _)| Socket(socket))
    }

    /// A socket that has logged in and joined `s1`.
    async fn joined(&self, sender: &str) -> Socket {
        let mut socket = self.open(&format!("/websocket?sender_id={sender}"), &[]).await.unwrap();
        assert_eq!(socket.frame().await["type"], "login");
        socket.send(json!({"type": "join", "session_id": "s1"})).await;
        assert_eq!(socket.frame().await["type"], "join_confirm");
        socket
    }
}

/// The client's end of a socket.
struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn send(&mut self, frame: Json) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    async fn message(&mut self) -> Option<Message> {
        loop {
            let message = within(self.0.next()).await?.unwrap();
            if !matches!(message, Message::Ping(_) | Message::Pong(_)) {
                return Some(message);
            }
        }
    }

    async fn frame(&mut self) -> Json {
        let message = self.message().await.expect("the socket is closed");
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    async fn closed(&mut self) -> u16 {
        match self.message().await {
            Some(Message::Close(Some(frame))) => frame.code.into(),
            other => panic!("not closed but {other:?}"),
        }
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), future).await.expect("it takes too long")
}

fn post(text: &str) -> String {
    let body = json!({"text": text}).to_string();
    format!(
        "POST /v1/conversations/s1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn http_and_sockets_share_a_conversation() {
    let server = Server::start().await;
    let (mut ana, mut again) = (server.joined("ana").await, server.joined("ana").await);
    ana.send(json!({"type": "text", "session_id": "s1", "text": "hi", "message_id": "m1"})).await;
    for socket in [&mut ana, &mut again] {
        let (echo, reply) = (socket.frame().await, socket.frame().await);
        assert_eq!((&echo["text"], &echo["seq"]), (&json!("hi"), &Json::Null));
        assert_eq!((&reply["text"], &reply["seq"], &reply["reply_to"]), (&json!("you said: hi"), &json!(3), &json!("m1")));
    }
    let answer = server.ask(&post("over HTTP")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("you said: over HTTP"), "{answer}");
    assert_eq!((ana.frame().await["text"].clone(), ana.frame().await["text"].clone()), (json!("over HTTP"), json!("you said: over HTTP")));
}

#[tokio::test]
async fn what_is_no_text_is_an_error_and_the_socket_goes_on() {
    let server = Server::start().await;
    let mut ana = server.joined("ana").await;
    ana.0.send(Message::binary(vec![0, 1])).await.unwrap();
    assert_eq!(ana.frame().await["code"], "bad_frame");
    ana.0.send(Message::text("no")).await.unwrap();
    assert_eq!(ana.frame().await["code"], "bad_json");
    ana.0.send(Message::text("x".repeat(64 * 1024 + 1))).await.unwrap();
    assert_eq!(ana.frame().await["code"], "payload_too_large");
    ana.send(json!({"type": "ping"})).await;
    assert_eq!(ana.frame().await["type"], "pong");
}

#[tokio::test]
async fn what_cannot_be_read_at_all_is_an_error_before_the_end() {
    let server = Server::start().await;
    let mut ana = server.joined("ana").await;
    let not_text = Frame::message(vec![b'"', 0xff, b'"'], OpCode::Data(Data::Text), true);
    ana.0.send(Message::Frame(not_text)).await.unwrap();
    assert_eq!(ana.frame().await["code"], "bad_frame");
    assert_eq!(ana.closed().await, 1007);
    let mut bo = server.joined("bo").await;
    bo.0.send(Message::text("x".repeat(128 * 1024 + 1))).await.unwrap();
    assert_eq!(bo.frame().await["code"], "payload_too_large");
    assert_eq!(bo.closed().await, 1009);
}

#[tokio::test]
async fn who_may_not_open_a_socket_is_told() {
    let server = Server::start().await;
    let status = |opened: Result<Socket, Error>| match opened {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was let in"),
    };
    let path = "/websocket?sender_id=ana";
    assert_eq!(status(server.open(path, &[("origin", "https://evil.example")]).await), 403);
    assert_eq!(status(server.open(path, &[("host", "evil.example")]).await), 403);
    assert_eq!(status(server.open("/websocket?sender_id=ana&bot=nobody", &[]).await), 404);
    assert!(server.open(path, &[("origin", "http://localhost:3000")]).await.is_ok());
    assert_eq!(server.open("/websocket", &[]).await.unwrap().closed().await, 4001);
    let plain = server.ask("GET /websocket?sender_id=ana HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(plain.starts_with("HTTP/1.1 400") && plain.contains("application/problem+json"), "{plain}");
}

#[tokio::test]
async fn stopping_lets_running_turns_finish_and_closes_the_sockets() {
    let mut server = Server::start().await;
    let mut ana = server.joined("ana").await;
    let mut asking = TcpStream::connect(server.address).await.unwrap();
    asking.write_all(post("wait").as_bytes()).await.unwrap();
    server.world.model.waiting.acquire().await.unwrap().forget();
    server.stop();
    assert_eq!(ana.frame().await["text"], "wait");
    server.world.model.may_answer.add_permits(1);
    let mut answer = String::new();
    within(asking.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains("you said: wait"), "{answer}");
    assert_eq!(ana.frame().await["text"], "you said: wait");
    assert_eq!(ana.closed().await, 1001);
    assert!(ana.message().await.is_none());
    within(&mut server.served).await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn stopping_lets_an_answer_finish_that_nobody_keeps() {
    let mut server = Server::start().await;
    let body = json!({"messages": [{"role": "user", "content": "stream and wait"}], "stream": true}).to_string();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close";
    let mut asking = TcpStream::connect(server.address).await.unwrap();
    asking.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    server.world.model.waiting.acquire().await.unwrap().forget();
    server.stop();
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.world.model.may_answer.add_permits(1);
    let mut answer = String::new();
    within(asking.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains("[DONE]"), "{answer}");
    within(&mut server.served).await.unwrap();
}

#[tokio::test]
async fn an_event_stream_ends_with_the_server() {
    let mut server = Server::start().await;
    let mut streams = Vec::new();
    server.ask(&post("hi")).await;
    for path in ["/sse?sender_id=ana", "/v1/conversations/s1/events"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_ne!(within(stream.read(&mut [0; 64])).await.unwrap(), 0);
        streams.push(stream);
    }
    server.stop();
    for mut stream in streams {
        let mut rest = String::new();
        within(stream.read_to_string(&mut rest)).await.unwrap();
        assert!(rest.ends_with("0\r\n\r\n"), "it ends as a whole: {rest}");
    }
    let began = Instant::now();
    within(&mut server.served).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "nobody is waited for: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = bind("127.0.0.1", 0).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = bind("127.0.0.1", port).await.unwrap_err();
    assert!(matches!(error, ServerError::InUse { .. }));
    let told = format!("127.0.0.1:{port} is in use by another process: end that one, or choose another port with --port");
    assert_eq!(error.to_string(), told);
    let nowhere = bind("192.0.2.1", port).await.unwrap_err().to_string();
    assert!(
        nowhere.starts_with(&format!("cannot listen on 192.0.2.1:{port}: ")) && nowhere.ends_with("with --host and --port"),
        "{nowhere}"
    );
}
