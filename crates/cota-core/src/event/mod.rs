//! The record of a conversation: what is durable, what clients are shown, what the tracker is folded from.

mod reading;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::ids::{BotDigest, ConversationKey, MessageId, Position, RunId, SenderId, Seq, Timestamp};
use crate::task::TaskEvent;

/// Version of the envelope that this build writes.
pub const EVENT_VERSION: u8 = 1;

/// A slot's or an executor's values by name, in the author's order.
pub type Slots = Map<String, Json>;

/// One entry of a conversation's log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Version of the envelope.
    pub v: u8,
    /// Its place in the log.
    pub seq: Seq,
    /// The run that wrote it.
    pub run: RunId,
    /// When it happened.
    pub at: Timestamp,
    /// The bot it happened under.
    pub bot_digest: BotDigest,
    /// The user's message that the run answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What an event says. The tracker is a fold over `Action` alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum EventBody {
    /// An action of a user, the bot or the Selector.
    ///
    /// The log, the tracker of a turn and that of a store each keep it: they share it.
    Action(Arc<ActionRecord>),
    /// A turn came to its end.
    TurnEnd(Box<TurnEnd>),
    /// Something about the turn itself.
    Control(Control),
    /// Something that happened in a task.
    Task(Box<TaskEvent>),
}

impl From<ActionRecord> for EventBody {
    fn from(action: ActionRecord) -> Self {
        Self::Action(Arc::new(action))
    }
}

/// COTA's action: who did what, with which result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// `UserUtter`, `Selector`, `BotUtter`, or an action of the bot.
    pub name: String,
    /// Seconds since the Unix epoch, with a fraction.
    pub timestamp: f64,
    /// Who acted.
    pub sender_id: String,
    /// For whom.
    pub receiver_id: String,
    /// What came of it; several where several messages were taken together or a reply was long.
    #[serde(default)]
    pub result: Vec<ResultItem>,
    /// A form's slots after it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<Slots>,
    /// Where a form stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FormState>,
}

/// One result of an action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResultItem {
    /// The text: what was said, the chosen action's name, a form's result.
    #[serde(default)]
    pub text: String,
    /// Why, in the agent's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought: Option<String>,
    /// Whatever else came with it; `error` marks a failure.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Json>,
    /// The message's id, where the result is a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    /// The user's message that a bot's message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// Who sent it, where an action holds messages of several people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_id: Option<SenderId>,
    /// What a message carries beside text: an image's `{src}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Json>,
}

impl ResultItem {
    /// A result that is text and nothing else.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// The failure this result stands for, if it does.
    #[must_use]
    pub fn error(&self) -> Option<&Json> {
        self.metadata.get("error")
    }
}

/// Where a form stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FormState {
    /// Entered, with a slot still missing.
    Start,
    /// Still missing a slot.
    Continue,
    /// Executed; its slots are cleared.
    End,
    /// Left for another action; its slots are kept for a return.
    Break,
}

/// The recorded answer to a turn's messages, and why it is what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnEnd {
    /// How the turn ended.
    pub outcome: TurnOutcome,
    /// The user's messages it answers: several where they were merged.
    pub message_ids: Vec<MessageId>,
    /// What was said to the user, in order.
    pub replies: Vec<Reply>,
    /// Slots of the active form after the turn, else those of the form that ended in it.
    #[serde(default)]
    pub slots: Slots,
    /// The active form after the turn.
    #[serde(default)]
    pub form: Option<String>,
    /// What it cost.
    pub usage: Usage,
    /// Each action with its cause.
    #[serde(default)]
    pub steps: Vec<StepTrace>,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnOutcome {
    /// With the bot's own words.
    Replied,
    /// With the fallback reply.
    Fallback,
    /// Cut short by a later message (`on_busy: latest`).
    Superseded,
    /// Cancelled on request.
    Cancelled,
    /// Recorded and relayed: the message was for somebody else.
    Relayed,
    /// The proxy user had nothing more to say.
    Stopped,
}

/// One message of the bot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// `{run}.{n}`.
    pub message_id: MessageId,
    /// What it says.
    pub text: String,
    /// Whatever came with it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Json>,
}

/// What a turn cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Calls to LLMs, retries included.
    pub llm_calls: u32,
    /// Tokens sent, as the endpoints counted them.
    pub prompt_tokens: u64,
    /// Tokens received, as the endpoints counted them.
    pub completion_tokens: u64,
    /// Milliseconds from the turn's start to its end, parks left out.
    pub ms: u64,
}

/// One action of a turn: what caused it and what it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepTrace {
    /// The event that recorded the action.
    pub seq: Seq,
    /// The action's name.
    pub action: String,
    /// What chose it.
    pub cause: Cause,
    /// Titles of the example dialogues whose thoughts were in its prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// The LLM calls made for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallTrace>,
    /// Milliseconds from the action before it.
    pub ms: u64,
}

/// What chose an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "snake_case")]
pub enum Cause {
    /// The user spoke.
    User,
    /// The proxy user spoke.
    ProxyUser,
    /// A hard rule.
    Trigger {
        /// The rule's title.
        rule: String,
    },
    /// The Selector's LLM call.
    Llm,
    /// The Selector chose it.
    Selector,
    /// A native tool call.
    Tools,
    /// A form asked for a missing slot.
    Slot {
        /// The form.
        form: String,
        /// The slot it asks for.
        slot: String,
    },
    /// The form was left for another action.
    Interrupted,
    /// Nothing usable came back in time.
    Fallback {
        /// What went wrong, without internals.
        reason: String,
    },
}

/// One attempt at an LLM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallTrace {
    /// The endpoint's name in endpoints.yml.
    pub llm: String,
    /// `select`, `fill`, `utter`, `think`, `proxy_user`, `choose`.
    pub purpose: String,
    /// Milliseconds it took.
    pub ms: u64,
    /// Tokens sent.
    pub prompt_tokens: u64,
    /// Tokens received.
    pub completion_tokens: u64,
    /// Why its answer could not be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Something about the turn itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case")]
pub enum Control {
    /// Cancelled on request.
    Cancelled {
        /// Why.
        reason: String,
    },
    /// A later message took its place.
    Superseded,
    /// The bot a run was pinned to is gone; it went on with the current one, or ended.
    BotChanged {
        /// The bot that is gone.
        from: BotDigest,
    },
    /// Its process died too often.
    GaveUp {
        /// How often the run was taken over.
        takeovers: u32,
    },
}

/// A message as it was accepted, waiting in the inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InboxMessage {
    /// Its place in the inbox.
    pub position: Position,
    /// Who sent it.
    pub sender: SenderId,
    /// Its id in the scope of the conversation and the sender.
    pub message_id: MessageId,
    /// When it was accepted.
    pub at: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub content: MessageContent,
}

/// What a message says, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageContent {
    /// The text.
    #[serde(default)]
    pub text: String,
    /// Somebody other than the bot, for a message that is only recorded and relayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<SenderId>,
    /// Whatever the client sent along.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Json>,
    /// What it carries beside text: an image's `{src}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Json>,
    /// The exchange of a rehearsal that the proxy user is to speak next, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_exchange: Option<u32>,
    /// The task that asks, which is told of the answer. No client can say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<ConversationKey>,
}

impl MessageContent {
    /// Whether it is for the bot of this name: for nobody in particular, for `bot`, or for it by name.
    #[must_use]
    pub fn is_for(&self, bot: &str) -> bool {
        self.receiver.as_ref().is_none_or(|receiver| receiver.as_str() == "bot" || receiver.as_str() == bot)
    }
}
