//! A conversation with a bot that is served in this very process.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use cota_core::bot::{Bot, USER_UTTER};
use cota_core::event::{ActionRecord, Event, EventBody, MessageContent};
use cota_core::ids::{BotName, ConversationId, ConversationKey, InvalidName, MessageId, Owner, SenderId, Seq};
use cota_core::limits;
use cota_core::turn::Fragment;
use cota_driver::host::{Conversations as _, Host, Ports, SendError, Sent, Subscription, Update};
use cota_driver::ports::{Bots, Effects};
use cota_driver::store::{Holder, NewMessage, Store, StoreError};
use futures_util::StreamExt as _;
use tokio::runtime::{Handle, Runtime};

use crate::failure::Failure;
use crate::native::{TokioClock, TokioSpawn};

/// The sender where nobody says who speaks.
const SENDER: &str = "user";
/// Events read at a time.
const PAGE: usize = 256;
/// How long nothing may happen before nobody waits for it any more: longer than a turn may take.
const PATIENCE: Duration = Duration::from_millis(limits::TURN_MS + limits::LEASE_MS);

/// A runtime on the thread that waits for it.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| no_runtime(&error))
}

pub(crate) fn no_runtime(error: &io::Error) -> Failure {
    Failure::service(format!("the system gives no timers or sockets: {error}"))
}

/// A host for these bots. To be called inside a runtime.
pub(crate) fn host(bots: Arc<dyn Bots>, effects: Arc<dyn Effects>, clock: TokioClock, store: Arc<dyn Store>, holder: Holder) -> Arc<Host> {
    let spawn = Arc::new(TokioSpawn::new(Handle::current()));
    Host::new(Ports { store, effects, clock: Arc::new(clock), bots, spawn, holder })
}

/// The address of a conversation where identity is off.
pub(crate) fn key(bot: &BotName, owner: Option<&str>, id: &str) -> Result<ConversationKey, InvalidName> {
    let owner = owner.map_or_else(|| Ok(Owner::public()), Owner::new)?;
    Ok(ConversationKey { bot: bot.clone(), owner, id: ConversationId::new(id)? })
}

/// One side of a conversation.
pub(crate) struct Talk {
    host: Arc<Host>,
    key: ConversationKey,
    sender: SenderId,
    /// What message ids begin with: a name that no other process has.
    prefix: String,
    said: u64,
    /// The last event that was told.
    seen: Seq,
}

/// What there is to hear while a bot answers.
pub(crate) enum Heard<'a> {
    /// A piece of a reply, or that it is taken back.
    Piece(&'a Fragment),
    /// An entry of the record.
    Event(&'a Event),
}

/// Why a message has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TalkError {
    /// It was not accepted.
    #[error(transparent)]
    Refused(#[from] SendError),
    /// Nothing happened for too long.
    #[error("no answer came within {} s", PATIENCE.as_secs())]
    Silence,
}

impl From<StoreError> for TalkError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<TalkError> for Failure {
    fn from(error: TalkError) -> Self {
        Self::service(error.to_string())
    }
}

impl Talk {
    /// Enters a conversation. What was said in it before is not told again.
    pub(crate) async fn enter(host: Arc<Host>, key: ConversationKey, holder: &Holder) -> Result<Self, Failure> {
        let sender = SenderId::new(SENDER).map_err(|error| Failure::service(error.to_string()))?;
        let state = host.state(&key).await.map_err(|error| Failure::service(error.to_string()))?;
        let seen = state.map(|tracker| tracker.head).unwrap_or_default();
        Ok(Self { host, key, sender, prefix: holder.0.clone(), said: 0, seen })
    }

    /// The bot as it is now.
    pub(crate) fn bot(&self) -> Option<Arc<Bot>> {
        self.host.bot(Some(&self.key.bot))
    }

    /// Says something and tells what is heard, until nothing waits for an answer: with a proxy user that is the end of the
    /// rehearsal.
    pub(crate) async fn say(&mut self, text: &str, streams: bool, hear: &mut dyn FnMut(Heard<'_>)) -> Result<(), TalkError> {
        let mut updates = self.host.subscribe(&self.key, streams);
        let content = MessageContent { text: text.to_owned(), ..MessageContent::default() };
        let message_id = self.message_id()?;
        let message = NewMessage { sender: self.sender.clone(), message_id, at: self.host.now(), content };
        match self.host.send(&self.key, message).await? {
            Sent::Accepted(_) | Sent::Repeated(_) => self.listen(&mut updates, hear).await,
        }
    }

    async fn listen(&mut self, updates: &mut Subscription, hear: &mut dyn FnMut(Heard<'_>)) -> Result<(), TalkError> {
        loop {
            let update = tokio::time::timeout(PATIENCE, updates.next()).await.map_err(|_| TalkError::Silence)?;
            let Some(update) = update else { return Ok(()) };
            match update {
                Update::Fragment(fragment) => hear(Heard::Piece(&fragment)),
                Update::Accepted(_) => {}
                Update::Durable(_) | Update::Missed | Update::Forgotten => {
                    self.catch_up(hear).await?;
                    if self.host.unanswered(&self.key).await? == 0 {
                        return self.catch_up(hear).await;
                    }
                }
            }
        }
    }

    /// Tells what is in the record and was not told yet.
    async fn catch_up(&mut self, hear: &mut dyn FnMut(Heard<'_>)) -> Result<(), TalkError> {
        loop {
            let events = self.host.events(&self.key, self.seen, PAGE).await?;
            let Some(last) = events.last() else { return Ok(()) };
            self.seen = last.seq;
            events.iter().for_each(|event| hear(Heard::Event(event)));
        }
    }

    fn message_id(&mut self) -> Result<MessageId, SendError> {
        self.said += 1;
        MessageId::new(format!("{}-{}", self.prefix, self.said)).map_err(|error| SendError::Store(StoreError::Corrupt(error.to_string())))
    }
}

/// An event's action, if it is one.
pub(crate) fn action(event: &Event) -> Option<&ActionRecord> {
    match &event.body {
        EventBody::Action(action) => Some(action),
        EventBody::TurnEnd(_) | EventBody::Control(_) | EventBody::Task(_) => None,
    }
}

/// What the bot says to the user in an action: the results that are messages.
pub(crate) fn replies(action: &ActionRecord) -> impl Iterator<Item = &str> {
    let speaks = action.name != USER_UTTER;
    action.result.iter().filter(move |item| speaks && item.message_id.is_some()).map(|item| item.text.as_str())
}
