//! What is put into a task's inbox, and how it is read there.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::event::MessageContent;
use crate::ids::{ConversationKey, MessageId};

/// Who sends everything that a task's inbox holds, and the progress that a conversation hears of.
pub const SENDER: &str = "<task>";

/// A message to a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Begin.
    Start(Start),
    /// A person's answer to a step.
    Answer {
        /// The step.
        step: String,
        /// The answer.
        text: String,
    },
    /// Stop.
    Cancel {
        /// Why.
        reason: String,
    },
}

/// What a task begins with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start {
    /// What it is given.
    pub input: String,
    /// The conversation that hears of its progress.
    pub report_to: Option<ConversationKey>,
}

/// The part of a message that is not text.
#[derive(Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
enum Payload {
    Start {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report_to: Option<ConversationKey>,
    },
    Answer {
        step: String,
    },
    Cancel {},
}

impl Message {
    /// The message as an inbox holds it.
    #[must_use]
    pub fn into_content(self) -> MessageContent {
        let (text, payload) = match self {
            Self::Start(Start { input, report_to }) => (input, Payload::Start { report_to }),
            Self::Answer { step, text } => (text, Payload::Answer { step }),
            Self::Cancel { reason } => (reason, Payload::Cancel {}),
        };
        let payload = serde_json::to_value(payload).unwrap_or_else(|_| Json::Object(Map::new()));
        MessageContent { text, payload: Some(payload), ..MessageContent::default() }
    }

    /// Reads a message; nothing for one that no build of ours wrote.
    #[must_use]
    pub fn read(content: &MessageContent) -> Option<Self> {
        let payload = Payload::deserialize(content.payload.as_ref()?).ok()?;
        let text = content.text.clone();
        Some(match payload {
            Payload::Start { report_to } => Self::Start(Start { input: text, report_to }),
            Payload::Answer { step } => Self::Answer { step, text },
            Payload::Cancel {} => Self::Cancel { reason: text },
        })
    }
}

/// The id of the message that starts a task: there is one, so a task that is started twice is started once.
#[must_use]
pub fn start_id() -> Option<MessageId> {
    MessageId::new("start").ok()
}

/// The id of the answer to a step: the first answer counts.
#[must_use]
pub fn answer_id(step: &str) -> Option<MessageId> {
    MessageId::new(format!("answer/{step}")).ok()
}

/// The id of the request to stop.
#[must_use]
pub fn cancel_id() -> Option<MessageId> {
    MessageId::new("cancel").ok()
}
