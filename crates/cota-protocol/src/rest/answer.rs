use cota_core::event::{Reply, Slots, Usage};
use cota_core::ids::{ConversationId, MessageId, Seq};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The answer to a message: 200. Its actions may be anything that is written as them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageAnswer<A = Json> {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The user's message that this answers.
    pub message_id: MessageId,
    /// What the bot says, in order.
    pub replies: Vec<Reply>,
    /// What was done, in order: COTA's actions, without what the client's scopes do not cover.
    pub actions: Vec<A>,
    /// Slots of the active form after the turn, else those of the form that ended in it.
    pub slots: Slots,
    /// The active form after the turn.
    pub form: Option<String>,
    /// What it cost.
    pub usage: Usage,
}

/// The answer to a message whose turn outlasts the request: 202 with `Retry-After`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAnswer {
    /// Where the turn stands.
    pub status: PendingStatus,
    /// What to ask for at `GET .../messages/{message_id}`.
    pub message_id: MessageId,
}

impl PendingAnswer {
    /// The turn for this message goes on.
    #[must_use]
    pub fn running(message_id: MessageId) -> Self {
        Self { status: PendingStatus::Running, message_id }
    }
}

/// Where a turn without an answer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PendingStatus {
    /// It waits, runs or is parked; its answer will come.
    Running,
}

/// The body of `GET /v1/conversations/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConversationState {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The last event in the record; 0 if there is none.
    pub seq: Seq,
    /// The active form.
    pub form: Option<String>,
    /// The active form's slots.
    pub slots: Slots,
    /// Whether a turn is running or parked.
    pub running: bool,
    /// Messages that wait for their turn.
    pub waiting: u32,
}

/// The body of `GET /v1/conversations/{id}/events?after=N`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventsPage {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Events of the record in order, without what the client's scopes do not cover.
    pub events: Vec<Json>,
    /// The `after` of the next page.
    pub next_after: Seq,
    /// Whether the record goes on after this page.
    pub more: bool,
}
