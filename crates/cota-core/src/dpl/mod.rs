//! Dialogue policy: what to do next, and which thoughts to show a model, as pure functions of bot and tracker.

use crate::bot::{Bot, BotSource};
use crate::tracker::Tracker;

/// An action that a hard rule predicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The action's name.
    pub action: String,
    /// The rule's title, else `rule N`.
    pub rule: String,
}

/// Where the thoughts for a prompt come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThoughtSource {
    /// Matching examples.
    Ready {
        /// The examples, rendered.
        text: String,
        /// Their titles.
        examples: Vec<String>,
    },
    /// An LLM that knows the examples.
    Ask {
        /// Its name in endpoints.yml.
        llm: String,
        /// The link of the policy chain to go on with if it fails.
        next: usize,
    },
    /// No policy has any.
    None,
}

/// The next action by hard rules, where the policy chain has them.
#[must_use]
pub fn next_action(_bot: &Bot, _tracker: &Tracker) -> Option<Prediction> {
    None
}

/// The thoughts for an action that is about to run, of the policy chain's links `from` on.
#[must_use]
pub fn thoughts(_bot: &Bot, _tracker: &Tracker, _action: &str, _from: usize) -> ThoughtSource {
    ThoughtSource::None
}

/// The compiled hard rules of a bot.
#[derive(Debug)]
pub struct Rules {}
impl Rules {
    /// Compiles them.
    #[must_use]
    pub fn compile(_source: &BotSource) -> Self {
        Self {}
    }
}
/// The compiled examples of a bot.
#[derive(Debug)]
pub struct Thoughts {}
impl Thoughts {
    /// Compiles them.
    #[must_use]
    pub fn compile(_source: &BotSource) -> Self {
        Self {}
    }
}
