//! Asking a bot, in a conversation of the record or in one that nobody keeps.

use std::sync::Arc;

use futures_channel::mpsc::{self, UnboundedReceiver};
use futures_util::future::{BoxFuture, Fuse};
use futures_util::{FutureExt as _, StreamExt as _, select_biased};

use cota_core::event::{Event, MessageContent};
use cota_core::turn::Fragment;
use cota_driver::host::{Once, OnceError};
use cota_driver::store::NewMessage;
use cota_protocol::openai::server::CompletionRequest;
use cota_protocol::problem::{Code, Problem};

use super::past;
use crate::access::Identity;
use crate::answer::Question;
use crate::gateway::Gateway;
use crate::respond;
use crate::wait::{self, Waiter, forgotten, out_of_time};

/// A message on its way to its answer.
pub(super) enum Asking {
    /// In the record.
    Kept(Box<Waiter>),
    /// In a conversation that nobody keeps.
    Once(Box<Unkept>),
}

/// A turn that runs only as long as it is waited for.
pub(super) struct Unkept {
    question: Question,
    turn: Fuse<BoxFuture<'static, Result<Vec<Event>, OnceError>>>,
    fragments: UnboundedReceiver<Fragment>,
    give_up: Fuse<BoxFuture<'static, ()>>,
}

/// What came of asking.
pub(super) enum Heard {
    /// A piece of the reply that is not committed yet.
    Fragment(Fragment),
    /// The turn is over: it is among these events.
    Ended(Arc<[Event]>),
    /// There is no answer.
    Failed(Problem),
}

impl Asking {
    /// Sends the message into a conversation of the record.
    pub(super) async fn in_record(
        gateway: &Gateway,
        question: Question,
        by: &Identity,
        request: CompletionRequest,
    ) -> Result<Self, Problem> {
        let content = MessageContent { text: request.message, ..MessageContent::default() };
        Ok(Self::Kept(Box::new(Waiter::send(gateway, question, by, content, request.stream).await?)))
    }

    /// Begins a turn that knows of the past what the request says.
    pub(super) fn once(gateway: &Gateway, question: Question, request: CompletionRequest) -> Result<Self, Problem> {
        let now = gateway.now();
        let conversations = Arc::clone(gateway.conversations());
        let bot = conversations.bot(Some(&question.key.bot));
        let bot = bot.ok_or_else(|| Problem::new(Code::UnknownBot, "there is no bot of this name any more"))?;
        let content = MessageContent { text: request.message, ..MessageContent::default() };
        let Question { key, sender, message_id, .. } = question.clone();
        let past = past::events(&bot, &question, &request.past, now);
        let once = Once { key, past, message: NewMessage { sender, message_id, at: now, content } };
        let (taken, fragments) = mpsc::unbounded();
        let wanted = request.stream.then_some(taken);
        let turn = async move { conversations.answer_once(once, wanted).await }.boxed().fuse();
        let give_up = gateway.clock().sleep_until(now.plus_ms(gateway.options().request_ms)).fuse();
        Ok(Self::Once(Box::new(Unkept { question, turn, fragments, give_up })))
    }

    pub(super) fn question(&self) -> &Question {
        match self {
            Self::Kept(waiter) => waiter.question(),
            Self::Once(unkept) => &unkept.question,
        }
    }

    /// What is heard next. The end comes once.
    pub(super) async fn next(&mut self) -> Heard {
        match self {
            Self::Kept(waiter) => match waiter.next().await {
                wait::Heard::Fragment(fragment) => Heard::Fragment(fragment.as_ref().clone()),
                wait::Heard::Durable(events) => Heard::Ended(events),
                wait::Heard::OutOfTime => Heard::Failed(out_of_time()),
                wait::Heard::Forgotten => Heard::Failed(forgotten()),
            },
            Self::Once(unkept) => unkept.next().await,
        }
    }
}

impl Unkept {
    async fn next(&mut self) -> Heard {
        let ended = select_biased! {
            fragment = self.fragments.select_next_some() => return Heard::Fragment(fragment),
            ended = &mut self.turn => ended,
            () = &mut self.give_up => return Heard::Failed(too_long()),
        };
        match ended {
            Ok(events) => Heard::Ended(events.into()),
            Err(error) => Heard::Failed(refused(&error)),
        }
    }
}

fn refused(error: &OnceError) -> Problem {
    match error {
        OnceError::Refused(error) => respond::not_accepted(error),
        OnceError::AtMostOnce { action } => {
            let detail = format!(
                "the bot would run {action}, which may happen only once, so it needs a conversation that is kept: \
                 name one in the header X-Conversation-Id"
            );
            Problem::new(Code::BadRequest, detail).with("action", action.as_str())
        }
        OnceError::BrokenOff => Problem::new(Code::Internal, "the turn broke off; the operator's log says why"),
    }
}

fn too_long() -> Problem {
    Problem::new(Code::Timeout, "the turn takes longer than this request may; with the header X-Conversation-Id it would go on")
}
