//! The life of one connection.

use std::time::Duration;

use axum::Error as SocketError;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket};
use futures_util::{FutureExt as _, SinkExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use cota_gateway::socketio::Connection;
use cota_protocol::socketio::engine::Data;

use super::requests::Answer;
use super::table::Place;
use crate::server::closing::Closing;

/// How long a client may take to read what it is sent.
const WRITE: Duration = Duration::from_secs(30);

/// What a request asks of a connection.
pub(super) enum Command {
    /// The next packets.
    Poll(Answer<String>),
    /// To take packets.
    Post(Bytes, Answer<()>),
    /// To get ready for a socket.
    BeginUpgrade(Answer<()>),
    /// To try this socket.
    Socket(Box<WebSocket>),
}

/// A connection with what it is reached by.
pub(super) struct Task {
    connection: Connection,
    commands: Option<mpsc::Receiver<Command>>,
    /// The request that waits for packets.
    poll: Option<Answer<String>>,
    socket: Option<Box<WebSocket>>,
    _place: Place,
}

impl Task {
    /// One that requests reach.
    pub(super) fn polling(connection: Connection, commands: mpsc::Receiver<Command>, place: Place) -> Self {
        Self { connection, commands: Some(commands), poll: None, socket: None, _place: place }
    }

    /// One that its socket alone reaches.
    pub(super) fn on_socket(connection: Connection, socket: WebSocket, place: Place) -> Self {
        Self { connection, commands: None, poll: None, socket: Some(Box::new(socket)), _place: place }
    }

    /// Moves packets until the connection is over.
    pub(super) async fn run(mut self, mut closing: Closing) {
        self.flush().await;
        let mut is_told = false;
        while !self.connection.engine().is_closed() {
            tokio::select! {
                command = next_command(&mut self.commands) => self.obey(command).await,
                received = next_frame(&mut self.socket) => self.take(received).await,
                () = gone(&mut self.poll) => self.drop_poll(),
                () = self.connection.next() => {}
                () = closing.begins(), if !is_told => {
                    is_told = true;
                    self.say_goodbye();
                }
            }
            self.flush().await;
        }
    }

    async fn obey(&mut self, command: Command) {
        // A request that is gone needs no answer.
        match command {
            Command::Poll(answer) => self.begin_poll(answer),
            Command::Post(body, answer) => drop(answer.send(self.connection.receive_body(&body).await)),
            Command::BeginUpgrade(answer) => drop(answer.send(self.connection.begin_upgrade())),
            Command::Socket(socket) => self.socket = Some(socket),
        }
    }

    fn begin_poll(&mut self, answer: Answer<String>) {
        if self.poll.as_ref().is_some_and(Answer::is_closed) {
            self.drop_poll();
        }
        match self.connection.engine().poll() {
            Ok(()) => self.poll = Some(answer),
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    async fn take(&mut self, received: Option<Result<Message, SocketError>>) {
        match received {
            Some(Ok(Message::Text(text))) => self.connection.receive_frame(Data::Text(text.to_string())).await,
            Some(Ok(Message::Binary(bytes))) => self.connection.receive_frame(Data::Binary(bytes.into())).await,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => self.lose_socket(),
        }
    }

    fn drop_poll(&mut self) {
        self.poll = None;
        self.connection.engine().poll_gone();
    }

    fn lose_socket(&mut self) {
        self.socket = None;
        self.connection.engine().socket_gone();
    }

    /// Takes what is ready, for the last time.
    fn say_goodbye(&mut self) {
        let _ = self.connection.next().now_or_never();
        self.connection.engine().close();
    }

    /// Sends what is to be sent.
    async fn flush(&mut self) {
        if let Some(answer) = self.poll.take_if(|answer| !answer.is_closed()) {
            match self.connection.engine().take_poll() {
                Some(body) => drop(answer.send(Ok(body))),
                None => self.poll = Some(answer),
            }
        }
        let Some(socket) = &mut self.socket else { return };
        let engine = self.connection.engine();
        let sent = timeout(WRITE, async {
            let mut any = false;
            while let Some(frame) = engine.next_frame() {
                socket.feed(message(frame)).await?;
                any = true;
            }
            if any { socket.flush().await } else { Ok(()) }
        });
        if !matches!(sent.await, Ok(Ok(()))) {
            self.lose_socket();
        } else if !engine.wants_socket()
            && let Some(mut socket) = self.socket.take()
        {
            // Whoever does not take the end of the socket in time is gone anyway.
            let _ = timeout(WRITE, socket.close()).await;
        }
    }
}

fn message(frame: Data) -> Message {
    match frame {
        Data::Text(text) => Message::text(text),
        Data::Binary(bytes) => Message::binary(bytes),
    }
}

/// The next command; none ever comes where there is nobody to send one.
async fn next_command(commands: &mut Option<mpsc::Receiver<Command>>) -> Command {
    if let Some(arriving) = commands {
        if let Some(command) = arriving.recv().await {
            return command;
        }
        *commands = None;
    }
    std::future::pending().await
}

async fn next_frame(socket: &mut Option<Box<WebSocket>>) -> Option<Result<Message, SocketError>> {
    match socket {
        Some(socket) => socket.recv().await,
        None => std::future::pending().await,
    }
}

/// Ends when the request that waits is gone.
async fn gone(poll: &mut Option<Answer<String>>) {
    match poll {
        Some(answer) => answer.closed().await,
        None => std::future::pending().await,
    }
}
