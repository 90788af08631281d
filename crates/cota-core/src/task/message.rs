//! What is put into a task's inbox, and how it is read there.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::event::Spent;
use super::template::cut;
use crate::event::{MessageContent, TurnEnd, TurnOutcome};
use crate::ids::{ConversationKey, MessageId};
use crate::limits;

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
    /// An agent's answer. It has the id of the message that it answers.
    Outcome {
        /// The agent's words, or why it has none.
        said: Result<String, String>,
        /// What they cost.
        spent: Spent,
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
    Outcome {
        #[serde(default)]
        failed: bool,
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        spent: Spent,
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
            Self::Outcome { said, spent } => {
                let failed = said.is_err();
                let text = said.unwrap_or_else(|error| error);
                (cut(&text, limits::MESSAGE_BYTES).to_owned(), Payload::Outcome { failed, spent })
            }
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
            Payload::Outcome { failed, spent } => Self::Outcome { said: if failed { Err(text) } else { Ok(text) }, spent },
            Payload::Cancel {} => Self::Cancel { reason: text },
        })
    }
}

/// What came of a turn that an agent was asked for.
pub fn outcome_of(end: &TurnEnd) -> (Result<String, String>, Spent) {
    let words = end.replies.iter().map(|reply| reply.text.as_str()).collect::<Vec<_>>().join("\n");
    let said = match end.outcome {
        TurnOutcome::Replied => Ok(words),
        TurnOutcome::Fallback => Err(format!("the agent could not answer, and said: {words}")),
        TurnOutcome::Superseded | TurnOutcome::Cancelled => Err("the agent was stopped".to_owned()),
        TurnOutcome::Relayed | TurnOutcome::Stopped => Err("the agent did not answer".to_owned()),
    };
    let spent = Spent { llm_calls: end.usage.llm_calls, tokens: end.usage.prompt_tokens + end.usage.completion_tokens };
    (said, spent)
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
