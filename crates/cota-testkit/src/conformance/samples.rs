//! Messages and commits in a few words, for the tests of a store.

use cota_core::bot::{BOT_UTTER, USER_UTTER};
use cota_core::event::{
    ActionRecord, EVENT_VERSION, Event, EventBody, InboxMessage, MessageContent, Reply, ResultItem, Slots, TurnEnd, TurnOutcome, Usage,
};
use cota_core::ids::{BotDigest, BotName, CommitId, ConversationId, ConversationKey, MessageId, Owner, RunId, SenderId, Seq, Timestamp};
use cota_core::tracker::RECEIVER_BOT;
use cota_core::turn::{Answered, Commit, RunState, Then};
use cota_driver::store::{AcceptTerms, Claim, CommitTerms, Holder, NewMessage};

/// When every case begins.
pub const T0: Timestamp = Timestamp(1_700_000_000_123);

/// The conversation `id` with a bot, in the namespace of `owner`.
///
/// # Panics
/// If it is no such name.
pub fn key(owner: &str, id: &str) -> ConversationKey {
    ConversationKey { bot: BotName::new("bot").unwrap(), owner: Owner::new(owner).unwrap(), id: ConversationId::new(id).unwrap() }
}

/// A holder of this name.
pub fn holder(name: &str) -> Holder {
    Holder(name.to_owned())
}

/// A sender of this name.
///
/// # Panics
/// If it is no such name.
pub fn sender(name: &str) -> SenderId {
    SenderId::new(name).unwrap()
}

/// A message id.
///
/// # Panics
/// If it is no such name.
pub fn message_id(id: &str) -> MessageId {
    MessageId::new(id).unwrap()
}

/// Ann's message of this id; its text is the id.
///
/// # Panics
/// If it is no such name.
pub fn message(id: &str) -> NewMessage {
    saying(id, id)
}

/// Ann's message of this id and text.
///
/// # Panics
/// If it is no such name.
pub fn saying(id: &str, text: &str) -> NewMessage {
    let content = MessageContent { text: text.to_owned(), ..MessageContent::default() };
    NewMessage { sender: sender("ann"), message_id: message_id(id), at: T0, content }
}

/// The run that answers Ann's message of this id.
///
/// # Panics
/// If it is no such name.
pub fn run_of(key: &ConversationKey, id: &str) -> RunId {
    RunId::of(key, &sender("ann"), &message_id(id))
}

/// The terms of an acceptor that drives.
pub fn driving(by: &str) -> AcceptTerms {
    AcceptTerms { drive_as: Some(holder(by)), max_queue: 16, reject_if_busy: false, wakes: false }
}

/// The terms of an acceptor that does not drive.
pub fn ringing() -> AcceptTerms {
    AcceptTerms { drive_as: None, ..driving("a") }
}

/// The terms of an acceptor whose message wakes a parked run.
pub fn waking() -> AcceptTerms {
    AcceptTerms { wakes: true, ..ringing() }
}

/// The terms of a commit whose holder goes on with the next message.
pub fn going_on(now: Timestamp) -> CommitTerms {
    CommitTerms { now, lease_until: now.plus_ms(cota_core::limits::LEASE_MS), go_on: true, heard: None }
}

/// The terms of a commit whose holder stops after this run.
pub fn stopping(now: Timestamp) -> CommitTerms {
    CommitTerms { go_on: false, ..going_on(now) }
}

/// A commit that ends the run and answers these messages.
pub fn finish(claim: &Claim, n: u32, head: Seq, messages: &[InboxMessage]) -> Commit {
    let text = |message: &InboxMessage| ResultItem::text(message.content.text.clone());
    let heard: Vec<ResultItem> = messages.iter().map(text).collect();
    let end = TurnEnd {
        outcome: TurnOutcome::Replied,
        message_ids: messages.iter().map(|message| message.message_id.clone()).collect(),
        replies: vec![Reply { message_id: message_id("reply"), text: "noted".to_owned(), metadata: Slots::new() }],
        slots: Slots::new(),
        form: None,
        usage: Usage::default(),
        steps: Vec::new(),
    };
    let events = [
        action(claim, head.0 + 1, USER_UTTER, heard),
        action(claim, head.0 + 2, BOT_UTTER, vec![ResultItem::text("noted")]),
        event(claim, head.0 + 3, EventBody::TurnEnd(Box::new(end))),
    ];
    Commit {
        events: events.into(),
        run: RunState::Clear,
        answered: messages.iter().map(answered).collect(),
        then: Then::Finish,
        ..checkpoint(claim, n, b"")
    }
}

/// A commit without events that saves the run.
pub fn checkpoint(claim: &Claim, n: u32, run: &[u8]) -> Commit {
    Commit {
        commit_id: CommitId(format!("{}/{n}", claim.run).into()),
        events: [].into(),
        run: RunState::Put(run.to_vec()),
        snapshot: None,
        answered: Vec::new(),
        follow_up: None,
        then: Then::Hold,
    }
}

/// How a commit names a message that it answers.
pub fn answered(message: &InboxMessage) -> Answered {
    Answered { position: message.position, sender: message.sender.clone(), message_id: message.message_id.clone() }
}

/// An event with the bot's words.
pub fn said(claim: &Claim, seq: u64, text: &str) -> Event {
    action(claim, seq, BOT_UTTER, vec![ResultItem::text(text)])
}

/// An event with an action of this name.
pub fn action(claim: &Claim, seq: u64, name: &str, result: Vec<ResultItem>) -> Event {
    let record = ActionRecord {
        name: name.to_owned(),
        timestamp: T0.as_seconds(),
        sender_id: "ann".to_owned(),
        receiver_id: RECEIVER_BOT.to_owned(),
        result,
        slots: None,
        state: None,
    };
    event(claim, seq, record.into())
}

fn event(claim: &Claim, seq: u64, body: EventBody) -> Event {
    Event { v: EVENT_VERSION, seq: Seq(seq), run: claim.run.clone(), at: T0, bot_digest: BotDigest::of(b"bot"), message_id: None, body }
}
