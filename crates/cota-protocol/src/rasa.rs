//! Rasa's REST channel: what `POST /webhooks/rest/webhook` takes and answers.

use cota_core::event::Reply;
use cota_core::ids::{ConversationId, SenderId};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::fields::{Fault, Fields};
use crate::problem::Problem;

/// The body of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct RasaMessage {
    /// Who speaks.
    pub sender: SenderId,
    /// The conversation: it has the sender's name.
    pub conversation: ConversationId,
    /// What is said, at most 16 KiB.
    pub message: String,
    /// Whatever else the client sends along.
    pub metadata: Map<String, Json>,
}

impl RasaMessage {
    /// Reads the body. Unknown fields are skipped, and null is the same as absent.
    ///
    /// # Errors
    /// A problem to answer with, which names the `field` at fault.
    pub fn decode(body: &[u8]) -> Result<Self, Problem> {
        Self::read(body).map_err(|fault| fault.problem())
    }

    fn read(body: &[u8]) -> Result<Self, Fault> {
        let fields = Fields::parse(body)?;
        Ok(Self {
            sender: fields.name("sender")?,
            conversation: fields.name("sender")?,
            message: fields.message_text_in("message")?,
            metadata: fields.object("metadata")?,
        })
    }
}

/// One message of the bot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RasaReply {
    /// For whom it is.
    pub recipient_id: SenderId,
    /// What it says.
    pub text: String,
}

impl RasaReply {
    /// What the bot said, to `recipient`.
    #[must_use]
    pub fn new(recipient: &SenderId, reply: Reply) -> Self {
        Self { recipient_id: recipient.clone(), text: reply.text }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::problem::Code;

    #[test]
    fn a_message_needs_a_sender_that_can_name_a_conversation_and_a_text() {
        let decode = |body: &Json| RasaMessage::decode(body.to_string().as_bytes());
        let message = decode(&json!({"sender": "ana", "message": "hi", "input_channel": "rest", "metadata": {"page": 1}})).unwrap();
        assert_eq!((message.sender.as_str(), message.conversation.as_str(), message.message.as_str()), ("ana", "ana", "hi"));
        assert_eq!(message.metadata.get("page"), Some(&json!(1)));
        for (body, code, field) in [
            (json!([]), Code::BadRequest, None),
            (json!({"message": "hi"}), Code::BadRequest, Some("sender")),
            (json!({"sender": null, "message": "hi"}), Code::BadRequest, Some("sender")),
            (json!({"sender": "ana maria", "message": "hi"}), Code::BadRequest, Some("sender")),
            (json!({"sender": "ana"}), Code::BadRequest, Some("message")),
            (json!({"sender": "ana", "message": "x".repeat(16 * 1024 + 1)}), Code::TextTooLong, Some("message")),
        ] {
            let problem = decode(&body).unwrap_err();
            assert_eq!((problem.code, problem.extra.get("field").and_then(Json::as_str)), (code, field), "{}", problem.detail);
        }
    }
}
