//! The turn: one message from its acceptance to its recorded answer, as a machine.

mod effect;

pub use effect::{Answered, Commit, Completion, Effect, Fragment, LlmCall, Outcome, Purpose, RunState, SlotQuestion, Then, ToolCall};
