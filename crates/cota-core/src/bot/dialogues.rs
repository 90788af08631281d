//! Annotated dialogues as an author writes them: examples that shape prompts, and hard rules.

/// One dialogue of policy/*.yml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialogue {
    /// Its title; empty where the author gave none.
    pub title: String,
    /// For a rule: whether it may fire while a form is active.
    pub during_form: bool,
    /// What happens, in order.
    pub steps: Vec<DialogueStep>,
}

/// One action of a dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogueStep {
    /// The action's name, as the bot defines it.
    pub name: String,
    /// What the agent thinks at this step.
    pub thought: Option<String>,
    /// What comes of it.
    pub result: Expected,
}

/// The results a step stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The author gave none: any.
    Any,
    /// One of these texts; `<text>` stands for any that is not in the action's `output`.
    OneOf(Vec<String>),
}

impl Expected {
    /// The texts, none where any will do.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        match self {
            Self::Any => &[],
            Self::OneOf(texts) => texts,
        }
    }
}
