//! COTA's own routes: what `POST /add/message/{id}/tracker` takes, and what the four of them answer.

use cota_core::event::Slots;
use cota_core::ids::{ConversationId, MessageId, SenderId, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::fields::{Fault, Fields};
use crate::problem::Problem;
use crate::time;
use crate::websocket::Message;

/// The body of `POST /add/message/{id}/tracker`.
#[derive(Clone, Debug, PartialEq)]
pub struct AddMessage {
    /// What is said, at most 16 KiB.
    pub text: String,
    /// Who speaks; who may leave it out depends on the identity.
    pub sender_id: Option<SenderId>,
    /// The client's id for the message, so that sending it twice says it once.
    pub message_id: Option<MessageId>,
    /// Somebody other than the bot.
    pub receiver: Option<SenderId>,
    /// Whatever else the client sends along, as `meta_data` or `metadata`.
    pub metadata: Map<String, Json>,
}

impl AddMessage {
    /// Reads the body. Unknown fields are skipped, and null is the same as absent. `sender` is the role, and a client's is `user`.
    ///
    /// # Errors
    /// A problem to answer with, which names the `field` at fault.
    pub fn decode(body: &[u8]) -> Result<Self, Problem> {
        Self::read(body).map_err(|fault| fault.problem())
    }

    fn read(body: &[u8]) -> Result<Self, Fault> {
        let fields = Fields::parse(body)?;
        if fields.optional_text("sender")?.is_some_and(|role| role != "user") {
            return Err(Fault::field("sender", "is the role of who speaks: a client is `user`"));
        }
        let mut metadata = fields.object("meta_data")?;
        metadata.extend(fields.object("metadata")?);
        Ok(Self {
            text: fields.message_text()?,
            sender_id: fields.optional_name("sender_id")?,
            message_id: fields.optional_name("message_id")?,
            receiver: fields.receiver()?,
            metadata,
        })
    }
}

/// Where a conversation stands: the answer of both `/tracker` routes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrackerState {
    /// The conversation.
    pub session_id: ConversationId,
    /// The active form's slots, else those of the form that ended last.
    pub slots: Slots,
    /// What was done, oldest first. Points in time are ISO 8601.
    pub actions: Vec<Json>,
}

/// Messages of one or several conversations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Utterances {
    /// The messages.
    pub conversations: Vec<Utterance>,
}

/// One message, as a room sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Utterance {
    #[serde(rename = "type")]
    kind: UtteranceKind,
    #[serde(serialize_with = "time::serialize")]
    timestamp: Timestamp,
    #[serde(flatten)]
    message: Message,
}

impl Utterance {
    /// A message that was said at `timestamp`.
    #[must_use]
    pub fn new(message: Message, timestamp: Timestamp) -> Self {
        let kind = if message.is_image() { UtteranceKind::Image } else { UtteranceKind::Text };
        Self { kind, timestamp, message }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum UtteranceKind {
    Text,
    Image,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(body: &Json) -> Result<AddMessage, Problem> {
        AddMessage::decode(body.to_string().as_bytes())
    }

    #[test]
    fn a_message_needs_nothing_but_text() {
        let sparse = decode(&json!({"text": "hi"})).unwrap();
        let expected = AddMessage { text: "hi".into(), sender_id: None, message_id: None, receiver: None, metadata: Map::new() };
        assert_eq!(sparse, expected);
        let full = json!({"text": "hi", "sender": "user", "sender_id": "ana", "meta_data": {"source": "web"}, "metadata": {"page": 1}});
        let full = decode(&full).unwrap();
        assert_eq!(full.sender_id.unwrap().as_str(), "ana");
        assert_eq!(Json::Object(full.metadata), json!({"source": "web", "page": 1}));
    }

    #[test]
    fn nobody_speaks_as_the_bot() {
        for (body, field) in [(json!({"text": "hi", "sender": "bot"}), "sender"), (json!({"meta_data": {}}), "text")] {
            assert_eq!(decode(&body).unwrap_err().extra.get("field"), Some(&json!(field)));
        }
    }
}
