//! What objects ask of each other: JSON over the platform's fetch.
//!
//! An answer that goes on comes as lines, one [`Line`] each. Whatever is read is read from bytes: a second kind of reader would
//! have the reading of every type in the script twice.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use worker::Request;

use cota_core::event::{Event, InboxMessage};
use cota_core::ids::{ConversationKey, MessageId, Position, SenderId, Seq};
use cota_core::turn::Fragment;
use cota_driver::host::{SendError, Sent, Update};
use cota_driver::store::{Progress, StoreError};

use crate::connection::Visitor;
use crate::platform::{Answer, Content};

/// A question to the object of a conversation. It brings the key along: an object knows only a hash of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) key: ConversationKey,
    pub(crate) ask: Ask,
}

/// What is asked of a conversation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// To accept a message; then, where somebody follows, lines of what is new.
    Send { message: Box<InboxMessage>, follow: Option<Following> },
    /// Lines of what is new.
    Follow(Following),
    /// The events after a place.
    Events { after: Seq, limit: usize },
    /// The state.
    State,
    /// How many messages wait.
    Unanswered,
    /// How far a message has come.
    Progress { sender: SenderId, message: MessageId },
    /// To stop the turn that answers a message.
    Cancel { message: MessageId },
    /// To forget it.
    Forget,
    /// To tell a connection object of what is new, for this user. The answer is [`Joined`].
    Join { connection: String, user: SenderId, streams: bool },
    /// To tell it no more.
    Leave { connection: String },
}

/// Where a conversation stands when somebody joins it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Joined {
    pub(crate) head: Seq,
    /// Who is there now.
    pub(crate) users: Vec<SenderId>,
}

/// What a connection object is told by others than its sockets.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Notice {
    /// Something is new in a conversation.
    News(Push),
    /// Its sender posts a frame. The answer is a frame: what it confirms, or an `error`; or nothing, where there is no event stream.
    Posted { visitor: Visitor, frame: String },
}

/// What is new in one conversation, in order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Push {
    pub(crate) key: ConversationKey,
    pub(crate) news: Vec<News>,
}

/// What a connection object tells the Worker on a socket, one text each.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Relayed<'t> {
    /// A frame for the client, and the id that it has as an event, if any.
    Frame { id: &'t str, frame: &'t str },
    /// What the Worker sent last is done; or the `error` frame that says why not.
    Done(&'t str),
    /// What the object does not say itself: the pong of the platform; or the error of js/panics.js. It is a frame, and nothing else
    /// will be told of what the Worker sent last.
    Instead(&'t str),
}

/// Stands where the id would, before what is [`Relayed::Done`].
const DONE: &str = "!";

impl<'t> Relayed<'t> {
    pub(crate) fn read(text: &'t str) -> Self {
        match text.split_once('\n') {
            Some((DONE, refusal)) => Self::Done(refusal),
            Some((id, frame)) => Self::Frame { id, frame },
            None => Self::Instead(text),
        }
    }
}

impl fmt::Display for Relayed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame { id, frame } => write!(f, "{id}\n{frame}"),
            Self::Done(refusal) => write!(f, "{DONE}\n{refusal}"),
            Self::Instead(frame) => f.write_str(frame),
        }
    }
}

/// How somebody follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Following {
    /// Whether replies come piece by piece.
    pub(crate) streams: bool,
}

/// A line of an answer that goes on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// What became of a message that was sent.
    Sent(Result<Acknowledged, Refused>),
    /// Somebody follows from here on.
    Following,
    /// Something is new.
    News(News),
}

/// A message that is durable.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Acknowledged {
    Accepted(Position),
    Repeated(Progress),
}

/// Why a message was not accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refused {
    UnknownBot,
    IdReused,
    Busy,
    QueueFull,
    TextTooLong { bytes: usize },
    Stopping,
    Unavailable(String),
    Corrupt(String),
}

/// What is new in a conversation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum News {
    Accepted(Arc<InboxMessage>),
    Delta {
        message_id: MessageId,
        offset: u32,
        text: String,
    },
    Reset {
        message_id: MessageId,
    },
    Durable(Arc<[Event]>),
    Missed,
    Forgotten,
    /// Somebody came, and who is there now.
    Came {
        user: SenderId,
        users: Vec<SenderId>,
    },
    /// Somebody left, and who is there now.
    Left {
        user: SenderId,
        users: Vec<SenderId>,
    },
}

/// What a request brings.
pub(crate) async fn asked<T: DeserializeOwned>(request: &mut Request) -> worker::Result<T> {
    Ok(serde_json::from_slice(&request.bytes().await?)?)
}

/// What an answer brings. One that comes in lines is read by lines.
pub(crate) fn answered<T: DeserializeOwned>(answer: Answer) -> Result<T, StoreError> {
    match answer.content {
        Content::Whole(bytes) => serde_json::from_slice(&bytes).map_err(|error| StoreError::Corrupt(error.to_string())),
        Content::Pieces(_) => Err(StoreError::Corrupt("an object answered in lines".to_owned())),
    }
}

/// A frame as a client reads it, if it is one.
pub(crate) fn fields(frame: &[u8]) -> Option<Map<String, Json>> {
    match serde_json::from_slice(frame) {
        Ok(Json::Object(fields)) => Some(fields),
        Ok(_) | Err(_) => None,
    }
}

impl From<Sent> for Acknowledged {
    fn from(sent: Sent) -> Self {
        match sent {
            Sent::Accepted(position) => Self::Accepted(position),
            Sent::Repeated(progress) => Self::Repeated(progress),
        }
    }
}

impl From<Acknowledged> for Sent {
    fn from(acknowledged: Acknowledged) -> Self {
        match acknowledged {
            Acknowledged::Accepted(position) => Self::Accepted(position),
            Acknowledged::Repeated(progress) => Self::Repeated(progress),
        }
    }
}

impl From<SendError> for Refused {
    fn from(error: SendError) -> Self {
        match error {
            SendError::UnknownBot => Self::UnknownBot,
            SendError::IdReused => Self::IdReused,
            SendError::Busy => Self::Busy,
            SendError::QueueFull => Self::QueueFull,
            SendError::TextTooLong { bytes } => Self::TextTooLong { bytes },
            SendError::Stopping => Self::Stopping,
            SendError::Store(StoreError::Unavailable(why)) => Self::Unavailable(why),
            SendError::Store(StoreError::Corrupt(why)) => Self::Corrupt(why),
        }
    }
}

impl From<Refused> for SendError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::UnknownBot => Self::UnknownBot,
            Refused::IdReused => Self::IdReused,
            Refused::Busy => Self::Busy,
            Refused::QueueFull => Self::QueueFull,
            Refused::TextTooLong { bytes } => Self::TextTooLong { bytes },
            Refused::Stopping => Self::Stopping,
            Refused::Unavailable(why) => Self::Store(StoreError::Unavailable(why)),
            Refused::Corrupt(why) => Self::Store(StoreError::Corrupt(why)),
        }
    }
}

impl From<&Update> for News {
    fn from(update: &Update) -> Self {
        match update {
            Update::Accepted(message) => Self::Accepted(Arc::clone(message)),
            Update::Fragment(fragment) => match fragment.as_ref() {
                Fragment::Delta { message_id, offset, text } => {
                    Self::Delta { message_id: message_id.clone(), offset: *offset, text: text.clone() }
                }
                Fragment::Reset { message_id } => Self::Reset { message_id: message_id.clone() },
            },
            Update::Durable(events) => Self::Durable(Arc::clone(events)),
            Update::Missed => Self::Missed,
            Update::Forgotten => Self::Forgotten,
        }
    }
}

impl News {
    /// The same for those who follow in this process. Who comes and goes is for connections alone.
    pub(crate) fn update(self) -> Option<Update> {
        Some(match self {
            Self::Accepted(message) => Update::Accepted(message),
            Self::Delta { message_id, offset, text } => Update::Fragment(Arc::new(Fragment::Delta { message_id, offset, text })),
            Self::Reset { message_id } => Update::Fragment(Arc::new(Fragment::Reset { message_id })),
            Self::Durable(events) => Update::Durable(events),
            Self::Missed => Update::Missed,
            Self::Forgotten => Update::Forgotten,
            Self::Came { .. } | Self::Left { .. } => return None,
        })
    }
}
