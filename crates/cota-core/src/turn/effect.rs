//! What a turn asks of the world, and what comes back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::bot::Safety;
use crate::event::{Event, InboxMessage, Slots};
use crate::ids::{CommitId, MessageId, Position, SenderId, Timestamp};
use crate::tracker::Tracker;

/// Something to be done outside the core. Only a descriptor: what is sent is rendered when it is performed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Ask an LLM.
    CallLlm(LlmCall),
    /// Run a form's executor.
    RunExecutor {
        /// The form.
        action: String,
        /// Its slots.
        slots: Slots,
        /// What a second try may do.
        safety: Safety,
    },
}

impl Effect {
    /// What a second try after a crash may do.
    #[must_use]
    pub fn safety(&self) -> Safety {
        match self {
            Self::CallLlm(_) => Safety::ReadOnly,
            Self::RunExecutor { safety, .. } => *safety,
        }
    }
}

/// One question to an LLM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LlmCall {
    /// The endpoint's name.
    pub llm: String,
    /// What is asked.
    pub purpose: Purpose,
    /// Thoughts for `{{policies}}`, where an LLM policy gave them.
    #[serde(default)]
    pub thoughts: Option<Arc<str>>,
    /// Whether the endpoint is asked for JSON; dropped after it refused.
    pub json: bool,
    /// Whether pieces of the answer are wanted as they come.
    pub stream: bool,
    /// The form's slots so far, where it is asked to fill them.
    #[serde(default)]
    pub slots: Slots,
    /// What was wrong with the answer before this one, where it is asked for once more.
    #[serde(default)]
    pub fault: Option<String>,
}

/// What an LLM is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Which action is next (`prompts` mode).
    Select,
    /// The next tool calls or the answer (`tools` mode).
    Choose,
    /// Values for a form's slots.
    Fill {
        /// The form.
        form: String,
    },
    /// What to say.
    Utter {
        /// The utterance's action.
        action: String,
        /// The slot that is asked for, where a form misses one.
        slot: Option<SlotQuestion>,
    },
    /// Thoughts for an action, of an LLM that knows the examples.
    Think {
        /// The action.
        action: String,
    },
    /// What the proxy user says.
    ProxyUser,
}

impl Purpose {
    /// Its name in traces and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Choose => "choose",
            Self::Fill { .. } => "fill",
            Self::Utter { .. } => "utter",
            Self::Think { .. } => "think",
            Self::ProxyUser => "proxy_user",
        }
    }
}

/// A slot that a form misses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotQuestion {
    /// The form.
    pub form: String,
    /// Its slot.
    pub slot: String,
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// An LLM's answer.
    Llm(Completion),
    /// An executor's.
    Executed {
        /// Its text.
        text: String,
        /// Whatever came with it.
        metadata: Map<String, Json>,
    },
}

/// An LLM's whole answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// The text.
    pub content: String,
    /// Native tool calls.
    #[serde(default)]
    pub tool_calls: Vec<ToolCall>,
    /// Tokens sent, as the endpoint counted them.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens received, as the endpoint counted them.
    #[serde(default)]
    pub completion_tokens: u64,
}

/// A native tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The tool: an action's name.
    pub name: String,
    /// Its arguments as the model wrote them: JSON, hopefully.
    pub arguments: String,
}

/// Provisional output: what a client is shown before the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// A piece of a reply.
    Delta {
        /// The reply it belongs to.
        message_id: MessageId,
        /// Unicode code points of the reply before it.
        offset: u32,
        /// The piece.
        text: String,
    },
    /// Drop what was shown of this reply.
    Reset {
        /// The reply.
        message_id: MessageId,
    },
}

/// The only durable write of a turn. `commit_id` makes it idempotent, the claim's epoch fences it.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// `{run}/{n}`.
    pub commit_id: CommitId,
    /// What goes into the log at head + 1 and on, shared by all who write it or pass it on.
    pub events: Arc<[Event]>,
    /// The saved run afterwards.
    pub run: RunState,
    /// The state to load instead of the events up to it.
    pub snapshot: Option<Tracker>,
    /// The messages that this commit answers; empty before the finish.
    pub answered: Vec<Answered>,
    /// The proxy user's next exchange, put into the inbox by the same write.
    pub follow_up: Option<InboxMessage>,
    /// What becomes of the claim.
    pub then: Then,
}

/// A message that a commit answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Its place in the inbox.
    pub position: Position,
    /// Who sent it.
    pub sender: SenderId,
    /// Its id.
    pub message_id: MessageId,
}

/// The saved run after a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Saved, to be resumed by whoever takes over.
    Put(Vec<u8>),
    /// None: the run is over.
    Clear,
}

/// What becomes of the claim with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The run goes on.
    Hold,
    /// The run is parked: let go of the claim, ring at this time.
    Park(Timestamp),
    /// The run is over: the next message's, or nobody's.
    Finish,
}
