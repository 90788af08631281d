//! What a task asks of the world, and what comes back.

use crate::ids::{ConversationKey, MessageId};
use crate::task::Spent;
use crate::turn::Completion;

/// Something to be done outside the core.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the planner's LLM. What is sent is rendered when it is performed.
    Plan {
        /// The endpoint's name.
        llm: String,
    },
    /// Say something to an agent, in its conversation of this task: for its answer, or to be told of it by a message. The same
    /// message again is answered from the record.
    Ask {
        /// The agent.
        agent: String,
        /// The message's id, the same for every attempt.
        message_id: MessageId,
        /// What is said.
        query: String,
        /// Who says it, where that is another agent.
        speaker: Option<String>,
    },
    /// Tell a conversation of the task's progress.
    Report {
        /// Which.
        to: ConversationKey,
        /// The message's id, the same for every attempt.
        message_id: MessageId,
        /// What is told.
        text: String,
        /// Whether the conversation's bot is to do something about it. Else it is only shown.
        for_bot: bool,
    },
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Completed {
    /// The planner's answer.
    Planned(Completion),
    /// An agent's.
    Answered {
        /// Its words, or why it has none.
        said: Result<String, String>,
        /// What they cost.
        spent: Spent,
    },
    /// The agent has been asked. Its answer comes as a [`Message::Outcome`](crate::task::Message::Outcome).
    Asked,
    /// The conversation has the message.
    Reported,
}
