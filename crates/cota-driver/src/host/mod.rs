//! A conversation host in one process: it accepts, drives, and tells its subscribers what is new.
//!
//! A gateway talks to [`Conversations`] and to nothing else, so the same routes serve a laptop, a Lambda function and a Worker.

mod entrance;
mod hub;
mod local;
mod once;

use std::sync::Arc;

use async_trait::async_trait;
use futures_channel::mpsc::UnboundedSender;

use cota_core::bot::Bot;
use cota_core::event::{Event, InboxMessage};
use cota_core::ids::{BotName, ConversationKey, MessageId, Position, SenderId, Seq};
use cota_core::tracker::Tracker;
use cota_core::turn::Fragment;

use crate::metrics::Metrics;
use crate::store::{NewMessage, Progress, StoreError};
use crate::task::ServedTask;

pub use hub::{Hub, Subscription};
pub use local::{Host, Ports};
pub use once::{Once, OnceError};

/// What a gateway asks of a conversation host.
#[async_trait]
pub trait Conversations: Send + Sync {
    /// Accepts a message. When this returns `Ok`, the message is durable.
    ///
    /// # Errors
    /// If it was not accepted; nothing was recorded then.
    async fn send(&self, key: &ConversationKey, message: NewMessage) -> Result<Sent, SendError>;

    /// Follows a conversation from now on; with `streams`, replies piece by piece as well.
    fn subscribe(&self, key: &ConversationKey, streams: bool) -> Subscription;

    /// The events after `after`, at most `limit`, in order.
    async fn events(&self, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError>;

    /// The conversation's state; `None` if there is no such conversation.
    async fn state(&self, key: &ConversationKey) -> Result<Option<Tracker>, StoreError>;

    /// How many accepted messages have no answer yet, a running turn's own among them.
    async fn unanswered(&self, key: &ConversationKey) -> Result<usize, StoreError>;

    /// How far a message has come; `None` if it was never accepted.
    async fn progress(&self, key: &ConversationKey, sender: &SenderId, message: &MessageId) -> Result<Option<Progress>, StoreError>;

    /// Stops the turn that answers a message, if it runs here. What it has done stays done.
    fn cancel(&self, _key: &ConversationKey, _message: &MessageId) {}

    /// The task of this name.
    fn task(&self, _name: &BotName) -> Option<Arc<ServedTask>> {
        None
    }

    /// Every task's name.
    fn task_names(&self) -> Vec<BotName> {
        Vec::new()
    }

    /// Forgets a conversation; a running turn does not bring it back.
    async fn forget(&self, key: &ConversationKey) -> Result<(), StoreError>;

    /// Answers a message in a conversation that nobody keeps, and yields the events of its turn. `fragments` takes the pieces of
    /// the reply, where they are wanted. Dropping the future ends the turn.
    ///
    /// # Errors
    /// If there is no answer; nothing was done then that lasts.
    async fn answer_once(&self, once: Once, fragments: Option<UnboundedSender<Fragment>>) -> Result<Vec<Event>, OnceError>;

    /// Whether the store can be reached.
    async fn ready(&self) -> Result<(), StoreError>;

    /// The bot of this name, or the default one.
    fn bot(&self, name: Option<&BotName>) -> Option<Arc<Bot>>;

    /// Every bot's name; the first is the default.
    fn bot_names(&self) -> Vec<BotName>;

    /// What the host has done.
    fn metrics(&self) -> &Metrics;

    /// The time, in the host's clock.
    fn now(&self) -> cota_core::ids::Timestamp;
}

/// A message that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was accepted now.
    Accepted(Position),
    /// It was accepted before.
    Repeated(Progress),
}

/// Why a message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No such bot.
    #[error("there is no bot of this name")]
    UnknownBot,
    /// Its id stands for another text.
    #[error("this message id was used for another text")]
    IdReused,
    /// A turn runs, and the bot takes one message at a time.
    #[error("the bot is answering another message of this conversation")]
    Busy,
    /// Too many messages wait.
    #[error("too many messages wait in this conversation")]
    QueueFull,
    /// The text is too long.
    #[error("the text has {bytes} bytes; the limit is {limit}", limit = cota_core::limits::MESSAGE_BYTES)]
    TextTooLong {
        /// Its size.
        bytes: usize,
    },
    /// The host is shutting down.
    #[error("the server is shutting down")]
    Stopping,
    /// The store cannot serve.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Refuses a text that is too long.
///
/// # Errors
/// When it is.
pub fn check_length(message: &NewMessage) -> Result<(), SendError> {
    match message.content.text.len() {
        bytes if bytes > cota_core::limits::MESSAGE_BYTES => Err(SendError::TextTooLong { bytes }),
        _ => Ok(()),
    }
}

/// What is new in a conversation.
#[derive(Clone, Debug)]
pub enum Update {
    /// A message was accepted.
    Accepted(Arc<InboxMessage>),
    /// A piece of a reply that is not committed yet.
    Fragment(Arc<Fragment>),
    /// These events are durable, in order.
    Durable(Arc<[Event]>),
    /// The subscriber was too slow and missed updates: read the events after its cursor. Pieces begin anew.
    Missed,
    /// The conversation was forgotten.
    Forgotten,
}
