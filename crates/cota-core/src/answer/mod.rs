//! What an LLM's answer means. Answers are taken leniently; what cannot be used is named in words for the LLM.

mod stream;

pub use stream::TextStream;

use crate::bot::{Bot, Form};
use crate::event::Slots;
use crate::turn::Completion;

/// What was wrong with an answer, in words for the LLM that is asked once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub String);

/// The action an LLM chose.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// The action, in the bot's own spelling.
    pub action: String,
    /// Why, in the LLM's words.
    pub thought: Option<String>,
    /// Slots that came with the choice, as the LLM spelt them.
    pub slots: Slots,
}

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// The words; never blank.
    pub text: String,
    /// Why, in the LLM's words.
    pub thought: Option<String>,
}

/// What the proxy user says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxySaid {
    /// The words; may be blank where it stops.
    pub text: String,
    /// Why, in the LLM's words.
    pub thought: Option<String>,
    /// Whether this is its last message.
    pub stop: bool,
}

/// What a model did in `tools` mode.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// It called tools, in this order.
    Calls(Vec<Selection>),
    /// It answered.
    Say(Utterance),
}

/// The action that Selector's LLM chose.
///
/// # Errors
/// When no action of the bot is named that may be chosen.
pub fn selection(_bot: &Bot, _content: &str) -> Result<Selection, Fault> {
    Err(Fault(String::new()))
}

/// The words of an utterance.
///
/// # Errors
/// When there are none.
pub fn utterance(_content: &str) -> Result<Utterance, Fault> {
    Err(Fault(String::new()))
}

/// Values for a form's slots.
///
/// # Errors
/// When the answer is no JSON object.
pub fn slots(_form: &Form, _content: &str) -> Result<Slots, Fault> {
    Err(Fault(String::new()))
}

/// What the proxy user says.
///
/// # Errors
/// When there are no words and it does not stop.
pub fn proxy_user(_content: &str) -> Result<ProxySaid, Fault> {
    Err(Fault(String::new()))
}

/// What a model did in `tools` mode.
///
/// # Errors
/// When it called a tool that is none, or said nothing.
pub fn choice(_bot: &Bot, _completion: &Completion) -> Result<Choice, Fault> {
    Err(Fault(String::new()))
}
