//! Dialogue policy: what to do next, and which thoughts to show a model, as pure functions of bot and tracker.
//!
//! [`next_action`] asks the hard rules (`trigger`). [`thoughts`] asks the links of the policy chain for annotated examples that
//! fit the moment (`matching`), or names the LLM that has them in its knowledge base.

mod matching;
mod trigger;

pub use matching::Thoughts;
pub use trigger::Rules;

use crate::bot::{Bot, Policy, USER_UTTER};
use crate::event::ActionRecord;
use crate::limits;
use crate::tracker::Tracker;

/// An action that a hard rule predicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The action's name.
    pub action: String,
    /// The rule's title, else `rule N`, counted from 1 in file order.
    pub rule: String,
}

/// Where the thoughts for a prompt come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThoughtSource {
    /// Matching examples.
    Ready {
        /// The examples, rendered.
        text: String,
        /// Their titles, those without one left out.
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
///
/// That a rule fires once at most for one place in the history is the caller's to keep.
#[must_use]
pub fn next_action(bot: &Bot, tracker: &Tracker) -> Option<Prediction> {
    bot.source().policies.contains(&Policy::Trigger).then(|| bot.rules().next_action(bot, tracker)).flatten()
}

/// The thoughts for an action that is about to run, of the policy chain's links `from` on.
#[must_use]
pub fn thoughts(bot: &Bot, tracker: &Tracker, action: &str, from: usize) -> ThoughtSource {
    for (link, policy) in bot.source().policies.iter().enumerate().skip(from) {
        match policy {
            Policy::Trigger => {}
            Policy::Match => {
                let (text, examples) = bot.thoughts().render(bot, tracker, action);
                if !text.is_empty() {
                    return ThoughtSource::Ready { text, examples };
                }
            }
            Policy::Llm { default, by_action } => {
                let named = by_action.iter().find(|(name, _)| name == action).map(|(_, llm)| llm);
                if let Some(llm) = named.or(default.as_ref()) {
                    return ThoughtSource::Ask { llm: llm.clone(), next: link + 1 };
                }
            }
        }
    }
    ThoughtSource::None
}

/// The part of the formless history that a policy key may reach back to, oldest first.
fn reach(tracker: &Tracker) -> Vec<&ActionRecord> {
    let mut user_utters = 0;
    let mut actions: Vec<&ActionRecord> = tracker
        .formless()
        .rev()
        .take(limits::KEY_ACTIONS)
        .take_while(|action| {
            let within = user_utters < limits::KEY_USER_UTTERS;
            user_utters += usize::from(action.name == USER_UTTER);
            within
        })
        .collect();
    actions.reverse();
    actions
}

#[cfg(test)]
mod tests;
