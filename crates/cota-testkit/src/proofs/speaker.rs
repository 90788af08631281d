//! Somebody who talks to a bot, over HTTP and over a socket.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::Address;
use crate::client::{Record, Socket, http, socket};

/// A store that has more to do than it can tells its clients to try again: nothing was accepted.
pub(super) const BUSY_STORE: &str = "store_unavailable";
/// When a client tries again.
const AGAIN: Duration = Duration::from_millis(200);

/// How a message reaches the bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A request of its own.
    Http,
    /// A frame on the speaker's socket.
    Socket,
}

/// Which ways the messages of one conversation take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// HTTP alone.
    Http,
    /// Sockets alone.
    Sockets,
    /// Both in turn.
    Mixed,
}

impl Ways {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Http, Self::Sockets, Self::Mixed];

    /// The way of the `n`th message.
    #[must_use]
    pub fn of(self, n: usize) -> Way {
        match self {
            Self::Http => Way::Http,
            Self::Sockets => Way::Socket,
            Self::Mixed if n.is_multiple_of(2) => Way::Http,
            Self::Mixed => Way::Socket,
        }
    }
}

/// What a speaker hears of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The bot's answer.
    Reply(String),
    /// Why there is none: a code.
    Refused(String),
}

impl Heard {
    /// The bot's answer.
    #[must_use]
    pub fn reply(text: &str) -> Self {
        Self::Reply(text.to_owned())
    }

    /// No answer, for the reason of this code.
    #[must_use]
    pub fn refused(code: &str) -> Self {
        Self::Refused(code.to_owned())
    }
}

/// One sender in one conversation. Its socket is opened when it is first needed.
pub struct Speaker {
    address: Address,
    sender: String,
    session: String,
    socket: Option<Socket>,
}

impl Speaker {
    /// A sender in a conversation.
    #[must_use]
    pub fn new(address: &Address, sender: &str, session: &str) -> Self {
        Self { address: address.clone(), sender: sender.to_owned(), session: session.to_owned(), socket: None }
    }

    /// Says something and waits for what comes of it.
    pub async fn say(&mut self, way: Way, id: &str, text: &str) -> Heard {
        self.say_in(way, id, text, id).await
    }

    /// As [`say`](Self::say), where the answer names another message: one that this one was taken together with.
    pub async fn say_in(&mut self, way: Way, id: &str, text: &str, answered_as: &str) -> Heard {
        loop {
            let heard = match way {
                Way::Http => self.post(id, text).await,
                Way::Socket => self.frame(id, text, answered_as).await,
            };
            if heard != Heard::refused(BUSY_STORE) {
                return heard;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn post(&self, id: &str, text: &str) -> Heard {
        let body = json!({"text": text, "sender_id": self.sender, "message_id": id});
        let answer = http::say(&self.address.http, &self.session, &body).await;
        let refused = match answer.status {
            200 => {
                let [reply] = answer.replies().try_into().unwrap_or_else(|_| panic!("one reply is expected: {answer:?}"));
                return Heard::Reply(reply);
            }
            409 => ["busy", "superseded", "id_reused"].contains(&answer.code().as_str()),
            429 => answer.code() == "queue_full",
            503 => answer.code() == BUSY_STORE,
            _ => false,
        };
        assert!(refused, "neither an answer nor a refusal: {answer:?}");
        Heard::Refused(answer.code())
    }

    async fn frame(&mut self, id: &str, text: &str, answered_as: &str) -> Heard {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.join().await,
        };
        socket.say(&self.session, id, text).await;
        let refused = |frame: &Json| frame["type"] == "error" && frame["message_id"] == id;
        let own = |frame: &Json| socket::is_from(frame, "user") && frame["message_id"] == id;
        let answer = |frame: &Json| socket::is_from(frame, "bot") && frame["reply_to"] == answered_as;
        let mut frame = socket.until(|frame| refused(frame) || own(frame)).await.expect("the socket was closed");
        if !refused(&frame) {
            frame = socket.until(|frame| refused(frame) || answer(frame)).await.expect("the socket was closed");
        }
        self.socket = Some(socket);
        if refused(&frame) {
            return Heard::Refused(frame["code"].as_str().unwrap().to_owned());
        }
        assert_eq!(frame["session_id"], self.session, "{frame}");
        Heard::Reply(frame["text"].as_str().unwrap().to_owned())
    }

    async fn join(&self) -> Socket {
        loop {
            let joined = Socket::try_join(&self.address.sockets, &self.sender, &self.session, &json!({"stream": true})).await;
            match joined {
                Some(socket) => return socket,
                None => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Says something over HTTP and takes the answer as events.
    pub async fn streamed(&self, id: &str, text: &str) -> http::Response {
        let path = format!("/v1/conversations/{}/messages", self.session);
        let body = json!({"text": text, "sender_id": self.sender, "message_id": id}).to_string();
        loop {
            let answer = http::post(&self.address.http, &path, &["accept: text/event-stream"], body.as_bytes()).await.unwrap();
            if answer.code() != BUSY_STORE {
                return answer;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Waits until a message of this sender is accepted.
    pub async fn accepted(&self, id: &str) {
        let path = format!("/v1/conversations/{}/messages/{id}?sender_id={}", self.session, self.sender);
        while ![200, 202].contains(&http::get(&self.address.http, &path).await.unwrap().status) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The record of the conversation.
    pub async fn record(&self) -> Record {
        Record::read(&self.address.http, &self.session).await
    }
}
