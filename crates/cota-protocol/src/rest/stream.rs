use cota_core::event::Reply;
use cota_core::ids::{MessageId, Seq};
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::{MessageAnswer, PendingAnswer};
use crate::problem::Problem;
use crate::sse;

/// Stands in for an event that has no JSON form, so that a client never waits in silence.
const NO_EVENT: &str = r#"{"title":"Internal Server Error","status":500,"code":"internal","detail":"the answer could not be written"}"#;

/// One event of a turn's stream, where the client accepts `text/event-stream`.
///
/// Committed ones carry their place in the record: a client that repeats its request with it as `Last-Event-ID` goes on there.
#[derive(Clone, Debug, PartialEq)]
pub enum TurnEvent {
    /// A piece of a reply that is not committed yet.
    Delta {
        /// The reply.
        message_id: MessageId,
        /// Unicode code points of the reply before this piece.
        offset: u32,
        /// The piece.
        text: String,
    },
    /// Drop what was shown of a reply.
    Reset {
        /// The reply.
        message_id: MessageId,
    },
    /// Something was done.
    Action {
        /// Its place in the record.
        seq: Seq,
        /// The event.
        event: Json,
    },
    /// The bot says something.
    Message {
        /// Its place in the record.
        seq: Seq,
        /// What it says.
        reply: Reply,
    },
    /// The turn outlasts the request.
    Pending(PendingAnswer),
    /// The turn is over.
    Done {
        /// The place of its end in the record.
        seq: Seq,
        /// The whole answer.
        answer: MessageAnswer,
    },
    /// The turn, or the request, came to nothing.
    Error(Problem),
}

impl TurnEvent {
    /// The event for the stream.
    #[must_use]
    pub fn to_sse(&self) -> sse::Event {
        match self {
            Self::Delta { message_id, offset, text } => {
                event("delta", None, &json!({"message_id": message_id, "offset": offset, "text": text}))
            }
            Self::Reset { message_id } => event("reset", None, &json!({"message_id": message_id})),
            Self::Action { seq, event: action } => event("action", Some(*seq), action),
            Self::Message { seq, reply } => event("message", Some(*seq), reply),
            Self::Pending(pending) => event("pending", None, pending),
            Self::Done { seq, answer } => event("done", Some(*seq), answer),
            Self::Error(problem) => event("error", None, problem),
        }
    }
}

fn event(name: &str, seq: Option<Seq>, body: &impl Serialize) -> sse::Event {
    let Ok(data) = serde_json::to_string(body) else {
        return sse::Event::new(NO_EVENT).named("error");
    };
    let event = sse::Event::new(data).named(name);
    match seq {
        Some(seq) => event.with_id(seq.to_string()),
        None => event,
    }
}
