//! What a client says was said, as a record.

use cota_core::bot::{BOT_UTTER, Bot, USER_UTTER};
use cota_core::event::{ActionRecord, EVENT_VERSION, Event, ResultItem};
use cota_core::ids::{MessageId, RunId, Seq, Timestamp};
use cota_core::tracker::RECEIVER_BOT;
use cota_protocol::openai::server::{Said, Speaker};

use crate::answer::Question;

/// The events of a conversation in which this was said before the question.
pub(super) fn events(bot: &Bot, question: &Question, said: &[Said], at: Timestamp) -> Vec<Event> {
    let run = RunId::of(&question.key, &question.sender, &past_of(&question.message_id));
    let event = |(seq, said): (u64, &Said)| Event {
        v: EVENT_VERSION,
        seq: Seq(seq),
        run: run.clone(),
        at,
        bot_digest: bot.digest().clone(),
        message_id: None,
        body: action(bot, question, said, at).into(),
    };
    (1..).zip(said).map(event).collect()
}

fn action(bot: &Bot, question: &Question, said: &Said, at: Timestamp) -> ActionRecord {
    let user = question.sender.to_string();
    let (name, sender_id, receiver_id) = match said.by {
        Speaker::User => (USER_UTTER, user, RECEIVER_BOT.to_owned()),
        Speaker::Assistant => (BOT_UTTER, bot.name().to_owned(), user),
    };
    ActionRecord {
        name: name.to_owned(),
        timestamp: at.as_seconds(),
        sender_id,
        receiver_id,
        result: vec![ResultItem::text(said.text.clone())],
        slots: None,
        state: None,
    }
}

/// A name for the turns of the past, which is not the question's.
fn past_of(message_id: &MessageId) -> MessageId {
    MessageId::new(format!("past-{message_id}")).unwrap_or_else(|_| message_id.clone())
}
