use serde_json::Value as Json;

use cota_core::limits::MESSAGE_BYTES;

use super::super::lenient::{present, text};
use crate::fields::{Fault, Fields};
use crate::problem::{Code, Problem};

/// Most bytes of a request's body: it carries the whole conversation.
pub const BODY_BYTES: usize = 1024 * 1024;

/// The body of `POST /v1/chat/completions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletionRequest {
    /// The bot; absent or empty: the default one.
    pub model: Option<String>,
    /// What was said before the message, oldest first.
    pub past: Vec<Said>,
    /// What the user says now, at most 16 KiB.
    pub message: String,
    /// Who speaks.
    pub user: Option<String>,
    /// Whether the answer is wanted in pieces.
    pub stream: bool,
    /// Whether the last piece is to say what the answer cost.
    pub include_usage: bool,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// By whom.
    pub by: Speaker,
    /// What.
    pub text: String,
}

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The person.
    User,
    /// The bot.
    Assistant,
}

impl CompletionRequest {
    /// Reads the body. Messages of other roles than `user` and `assistant` are skipped: a bot has its own instructions.
    ///
    /// # Errors
    /// A problem to answer with, which names the `field` at fault.
    pub fn decode(body: &[u8]) -> Result<Self, Problem> {
        Self::read(body).map_err(|fault| fault.problem())
    }

    fn read(body: &[u8]) -> Result<Self, Fault> {
        let fields = Fields::parse(body)?;
        refuse_tools(&fields)?;
        if fields.optional_number("n")?.is_some_and(|n| n > 1) {
            return Err(Fault::field("n", "has to be 1: a bot has one answer"));
        }
        let mut past: Vec<Said> = fields.list("messages")?.iter().filter_map(said).collect();
        let Some(Said { by: Speaker::User, text: message }) = past.pop() else {
            return Err(Fault::field("messages", "has to end with a message of the role `user` that has text"));
        };
        if message.len() > MESSAGE_BYTES {
            return Err(Fault::TooLong { code: Code::TextTooLong, name: "messages", bytes: message.len(), max: MESSAGE_BYTES });
        }
        let options = fields.object("stream_options")?;
        Ok(Self {
            model: fields.optional_text("model")?.filter(|model| !model.is_empty()).map(str::to_owned),
            past,
            message,
            user: fields.optional_text("user")?.filter(|user| !user.is_empty()).map(str::to_owned),
            stream: fields.flag("stream")?,
            include_usage: options.get("include_usage").and_then(Json::as_bool).unwrap_or(false),
        })
    }
}

fn refuse_tools(fields: &Fields) -> Result<(), Fault> {
    for name in ["tools", "functions"] {
        if !fields.optional_list(name)?.is_empty() {
            return Err(Fault::field(name, "has to be left out: a bot brings its own actions"));
        }
    }
    Ok(())
}

/// A message of a person or the bot that has text.
fn said(message: &Json) -> Option<Said> {
    let by = match message.get("role")?.as_str()? {
        "user" => Speaker::User,
        "assistant" => Speaker::Assistant,
        _ => return None,
    };
    let text = present(message, "content").and_then(text)?;
    (by == Speaker::User || !text.is_empty()).then_some(Said { by, text })
}
