//! Sending a message, and waiting for the turn that answers it: what every channel does that answers a request.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, select_biased};

use cota_core::event::{Event, MessageContent};
use cota_core::ids::{Seq, Timestamp};
use cota_core::turn::Fragment;
use cota_driver::host::{Sent, Subscription, Update};
use cota_driver::ports::Clock;
use cota_driver::store::{NewMessage, Progress, StoreError};
use cota_protocol::problem::{Code, Problem};

use crate::access::Identity;
use crate::answer::{AnsweredTurn, Question};
use crate::gateway::Gateway;
use crate::respond;

/// How often the record is asked in case the turn runs in another process, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// A message that was sent, and the waiting for its turn.
pub(crate) struct Waiter {
    gateway: Gateway,
    question: Question,
    /// The turn, where the record had it when the message was sent again.
    known: Option<Arc<[Event]>>,
    subscription: Subscription,
    give_up: Timestamp,
    look_at: Timestamp,
    /// Set once nothing is there to be heard: where a whole turn is there at once, it is never needed.
    look: Option<BoxFuture<'static, ()>>,
}

/// What came of waiting.
pub(crate) enum Heard {
    /// A piece of the reply that is not committed yet.
    Fragment(Arc<Fragment>),
    /// The record has the turn: it is among these events.
    Durable(Arc<[Event]>),
    /// The turn goes on, but the request's time is up.
    OutOfTime,
    /// The conversation was forgotten meanwhile.
    Forgotten,
}

impl Waiter {
    /// Sends a message, or finds it sent; with `streams`, to hear the reply piece by piece as well.
    ///
    /// # Errors
    /// Why it was not accepted, as the client is told it.
    pub(crate) async fn send(
        gateway: &Gateway,
        question: Question,
        by: &Identity,
        content: MessageContent,
        streams: bool,
    ) -> Result<Self, Problem> {
        let mut waiter = Self::new(gateway, question, streams);
        let Question { key, sender, message_id, .. } = waiter.question.clone();
        let message = NewMessage { sender, message_id, at: gateway.now(), content };
        match gateway.send(&key, message, by).await? {
            Sent::Accepted(_) | Sent::Repeated(Progress::Pending) => {}
            Sent::Repeated(Progress::Answered { first, last }) => {
                let recorded = answered(gateway, &waiter.question, first, last).await.map_err(|error| respond::unreadable(&error))?;
                waiter.known = match recorded {
                    Recorded::Turn(events) => Some(events),
                    Recorded::Nothing | Recorded::Pending => return Err(forgotten()),
                };
            }
        }
        Ok(waiter)
    }

    /// Follows the conversation of a message that is about to be sent, so that nothing is missed.
    fn new(gateway: &Gateway, question: Question, streams: bool) -> Self {
        let now = gateway.now();
        let give_up = now.plus_ms(gateway.options().request_ms);
        let look_at = now.plus_ms(LOOK_MS).min(give_up);
        let subscription = gateway.conversations().subscribe(&question.key, streams);
        Self { subscription, give_up, look_at, look: None, gateway: gateway.clone(), question, known: None }
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        self.gateway.clock()
    }

    pub(crate) fn question(&self) -> &Question {
        &self.question
    }

    /// Waits for the turn's end, whatever is heard before it; `None` if the request's time is up first.
    ///
    /// # Errors
    /// If the conversation was forgotten meanwhile.
    pub(crate) async fn end(&mut self) -> Result<Option<Arc<[Event]>>, Problem> {
        loop {
            match self.next().await {
                Heard::Durable(events) => return Ok(Some(events)),
                Heard::Fragment(_) => {}
                Heard::OutOfTime => return Ok(None),
                Heard::Forgotten => return Err(forgotten()),
            }
        }
    }

    /// What is heard next of the message.
    pub(crate) async fn next(&mut self) -> Heard {
        if let Some(events) = self.known.take() {
            return Heard::Durable(events);
        }
        loop {
            match self.update().await {
                Some(Update::Fragment(fragment)) => return Heard::Fragment(fragment),
                Some(Update::Durable(events)) => {
                    if AnsweredTurn::among(&events, &self.question).is_some() {
                        return Heard::Durable(events);
                    }
                }
                Some(Update::Accepted(_)) => {}
                Some(Update::Forgotten) => return Heard::Forgotten,
                Some(Update::Missed) | None => {
                    if let Some(heard) = self.ask_the_record().await {
                        return heard;
                    }
                }
            }
        }
    }

    /// What is new, or nothing when it is time to ask the record.
    async fn update(&mut self) -> Option<Update> {
        if let Some(update) = self.subscription.next().now_or_never() {
            return update;
        }
        let Self { gateway, look_at, look, subscription, .. } = self;
        let look = look.get_or_insert_with(|| gateway.clock().sleep_until(*look_at));
        select_biased! {
            update = subscription.next().fuse() => update,
            () = look.fuse() => None,
        }
    }

    async fn ask_the_record(&mut self) -> Option<Heard> {
        match recorded(&self.gateway, &self.question).await {
            Ok(Recorded::Turn(events)) => return Some(Heard::Durable(events)),
            Ok(Recorded::Nothing) => return Some(Heard::Forgotten),
            Ok(Recorded::Pending) => {}
            Err(error) => tracing::warn!(%error, "the answer to a message could not be looked for"),
        }
        let now = self.gateway.now();
        if now >= self.give_up {
            return Some(Heard::OutOfTime);
        }
        if now >= self.look_at {
            self.look_at = now.plus_ms(LOOK_MS).min(self.give_up);
            self.look = None;
        }
        None
    }
}

/// What is said of a conversation that was forgotten while somebody waited for it.
pub(crate) fn forgotten() -> Problem {
    Problem::new(Code::NotFound, "the conversation was forgotten before this message was answered")
}

/// What is said where a turn outlasts its request, in channels that have no other word for it.
pub(crate) fn out_of_time() -> Problem {
    Problem::new(Code::Timeout, "the turn outlasts this request; its answer will be in the record of the conversation")
}

/// What the record says of a message.
pub(crate) enum Recorded {
    /// It was never accepted, or is forgotten.
    Nothing,
    /// Its turn waits or runs.
    Pending,
    /// The events of its turn.
    Turn(Arc<[Event]>),
}

/// Asks the record for the turn that answers a message.
///
/// # Errors
/// If the store cannot serve.
pub(crate) async fn recorded(gateway: &Gateway, question: &Question) -> Result<Recorded, StoreError> {
    let progress = gateway.conversations().progress(&question.key, &question.sender, &question.message_id).await?;
    match progress {
        None => Ok(Recorded::Nothing),
        Some(Progress::Pending) => Ok(Recorded::Pending),
        Some(Progress::Answered { first, last }) => answered(gateway, question, first, last).await,
    }
}

/// Reads the turn that answers a message.
///
/// # Errors
/// If the store cannot serve.
async fn answered(gateway: &Gateway, question: &Question, first: Seq, last: Seq) -> Result<Recorded, StoreError> {
    let count = usize::try_from(last.0.saturating_sub(first.0)).unwrap_or(usize::MAX).saturating_add(1);
    let events: Arc<[Event]> = gateway.conversations().events(&question.key, Seq(first.0.saturating_sub(1)), count).await?.into();
    Ok(if AnsweredTurn::among(&events, question).is_some() { Recorded::Turn(events) } else { Recorded::Nothing })
}
