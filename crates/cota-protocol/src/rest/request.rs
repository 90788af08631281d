use cota_core::ids::{MessageId, SenderId};
use serde_json::{Map, Value as Json};

use crate::fields::{Fault, Fields};
use crate::problem::{Code, Problem};

/// Most bytes of a request's body.
pub const BODY_BYTES: usize = 64 * 1024;

/// The body of `POST /v1/conversations/{id}/messages`.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageRequest {
    /// What is said, at most 16 KiB.
    pub text: String,
    /// Who speaks; who may leave it out depends on the identity.
    pub sender_id: Option<SenderId>,
    /// The client's id for the message, so that sending it twice says it once.
    pub message_id: Option<MessageId>,
    /// Somebody other than the bot.
    pub receiver: Option<SenderId>,
    /// Whatever else the client sends along.
    pub metadata: Map<String, Json>,
}

impl MessageRequest {
    /// Reads the body. Unknown fields are skipped, and null is the same as absent.
    ///
    /// # Errors
    /// A problem to answer with, which names the `field` at fault: the body is larger than [`BODY_BYTES`], is no JSON object,
    /// or a field is missing, wrong or too long.
    pub fn decode(body: &[u8]) -> Result<Self, Problem> {
        if body.len() > BODY_BYTES {
            let detail = format!("the body has {} bytes, at most {BODY_BYTES} are allowed", body.len());
            return Err(Problem::new(Code::PayloadTooLarge, detail));
        }
        Self::read(body).map_err(|fault| fault.problem())
    }

    fn read(body: &[u8]) -> Result<Self, Fault> {
        let fields = Fields::parse(body)?;
        Ok(Self {
            text: fields.message_text()?,
            sender_id: fields.optional_name("sender_id")?,
            message_id: fields.optional_name("message_id")?,
            receiver: fields.receiver()?,
            metadata: fields.object("metadata")?,
        })
    }
}
