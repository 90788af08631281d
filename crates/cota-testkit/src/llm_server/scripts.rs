//! Scripts that most tests need.
//!
//! They tell one kind of request from another by words that the bot's own prompts have to contain: [`CHOOSE`] in Selector's,
//! [`FILL`] in a form's. Every other request of `prompts` mode is for an utterance.

use std::sync::Arc;

use serde_json::json;

use super::{Answer, Call, Script};

/// What Selector's prompt has to contain.
pub const CHOOSE: &str = "Choose the next action";
/// What a form's prompt has to contain.
pub const FILL: &str = "Fill in the slots";
/// How the result of a weather form ends.
pub const FORECAST: &str = "12 degrees";

/// What a request of a bot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The next action, in `prompts` mode.
    Choose,
    /// A form's slots.
    Fill,
    /// Words.
    Utter,
    /// Anything, with tools offered.
    Tools,
}

/// What a request is for.
#[must_use]
pub fn asked(call: &Call) -> Asked {
    if call.offers_tools() {
        Asked::Tools
    } else if call.text().contains(CHOOSE) {
        Asked::Choose
    } else if call.text().contains(FILL) {
        Asked::Fill
    } else {
        Asked::Utter
    }
}

/// Plain chat: chooses to speak, and says the last `#word` of the conversation, which a user told or asked back.
#[must_use]
pub fn chat() -> Script {
    Arc::new(|call| match asked(call) {
        Asked::Choose => choose("BotUtter"),
        Asked::Fill => Answer::say("{}"),
        Asked::Utter => utter(&echo(call)),
        Asked::Tools => Answer::Say(echo(call)),
    })
}

/// Greets, and looks up the weather in Oslo tomorrow with the form `Weather` where the last message has the word `weather`.
#[must_use]
pub fn weather() -> Script {
    Arc::new(|call| match asked(call) {
        Asked::Choose if wants_forecast(&call.prompt()) => choose("Weather"),
        Asked::Choose => choose("BotUtter"),
        Asked::Fill => Answer::json(&oslo()),
        Asked::Utter => utter("That is all I know."),
        Asked::Tools => match call.last_message() {
            (role, words) if role == "user" && words.contains("weather") => Answer::Call(vec![("Weather".to_owned(), oslo())]),
            _ => Answer::say("That is all I know."),
        },
    })
}

/// A choice of Selector's.
#[must_use]
pub fn choose(action: &str) -> Answer {
    Answer::json(&json!({"thought": "because it is next", "action": action}))
}

/// Words for the user.
#[must_use]
pub fn utter(text: &str) -> Answer {
    Answer::json(&json!({"thought": "a thought that nobody may see", "text": text}))
}

/// A way in which a model does not do as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Words where JSON was asked for.
    Prose,
    /// JSON in a code fence, with words around it.
    Fenced,
    /// A JSON list.
    List,
    /// The JSON value null.
    Null,
    /// A JSON number.
    Number,
    /// A choice of an action that the bot does not have.
    UnknownAction,
    /// A choice of Selector itself.
    Selector,
    /// A choice of the user.
    UserUtter,
    /// One form, chosen again and again.
    EndlessForm,
    /// HTTP status 500.
    ServerError,
    /// HTTP status 429 with a time to come back.
    RateLimit,
    /// No answer.
    Hang,
    /// An answer that breaks off in the middle.
    Cut,
    /// Ten megabytes of text.
    Huge,
}

impl Misbehaviour {
    /// Every one.
    pub const ALL: [Self; 14] = [
        Self::Prose,
        Self::Fenced,
        Self::List,
        Self::Null,
        Self::Number,
        Self::UnknownAction,
        Self::Selector,
        Self::UserUtter,
        Self::EndlessForm,
        Self::ServerError,
        Self::RateLimit,
        Self::Hang,
        Self::Cut,
        Self::Huge,
    ];

    /// A model that behaves so with every call, save that words are asked of it after a wrong choice: then it speaks.
    #[must_use]
    pub fn script(self) -> Script {
        Arc::new(move |call| self.answer(call))
    }

    /// What such a model says to a call.
    #[must_use]
    pub fn answer(self, call: &Call) -> Answer {
        let chosen = |action: &str| match asked(call) {
            Asked::Choose => choose(action),
            Asked::Fill => Answer::json(&oslo()),
            Asked::Utter | Asked::Tools => utter("Here I am."),
        };
        match self {
            Self::Prose => Answer::say("I would rather just talk."),
            Self::Fenced => Answer::say(format!("Sure!\n```json\n{}\n```\nDone.", json!({"action": "BotUtter", "text": "Here I am."}))),
            Self::List => Answer::say("[1, 2]"),
            Self::Null => Answer::say("null"),
            Self::Number => Answer::say("42"),
            Self::UnknownAction => chosen("NoSuchAction"),
            Self::Selector => chosen("Selector"),
            Self::UserUtter => chosen("UserUtter"),
            Self::EndlessForm => chosen("Weather"),
            Self::ServerError => Answer::Refuse { status: 500, retry_after_s: None },
            Self::RateLimit => Answer::Refuse { status: 429, retry_after_s: Some(1) },
            Self::Hang => Answer::Hang,
            Self::Cut => Answer::Cut(json!({"action": "BotUtter", "text": "This is never heard to its end."}).to_string()),
            Self::Huge => Answer::Say("x".repeat(10 * 1024 * 1024)),
        }
    }
}

fn echo(call: &Call) -> String {
    call.last_tag().map_or_else(|| "I was told nothing.".to_owned(), |tag| format!("It is #{tag}."))
}

fn oslo() -> serde_json::Value {
    json!({"city": "Oslo", "time": "tomorrow"})
}

/// Whether the last thing said is a wish for a forecast that has not been looked up.
fn wants_forecast(prompt: &str) -> bool {
    match (prompt.rfind("weather"), prompt.rfind(FORECAST)) {
        (Some(wish), Some(result)) => wish > result,
        (wish, _) => wish.is_some(),
    }
}
