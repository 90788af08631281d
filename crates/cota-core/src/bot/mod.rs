//! A bot as the core runs it: validated, compiled, immutable, shared by all its conversations.

mod action;
mod dialogues;
mod llm;

pub use action::{
    Action, ActionKind, Executor, ExecutorKind, Form, HttpCall, HttpMethod, MockCall, Pattern, Safety, ScriptCall, Slot, TaskCall,
};
pub use dialogues::{Dialogue, DialogueStep, Expected};
pub use llm::{Llm, LlmKind, Secret};

use crate::dpl::Rules;
use crate::dpl::Thoughts;
use crate::ids::{BotDigest, BotName};
use crate::prompt;

/// The three actions every bot has.
pub const USER_UTTER: &str = "UserUtter";
/// See [`USER_UTTER`].
pub const BOT_UTTER: &str = "BotUtter";
/// See [`USER_UTTER`].
pub const SELECTOR: &str = "Selector";

/// A bot's content as a validator hands it over. [`Bot::compile`] makes it runnable.
#[derive(Clone, Debug)]
pub struct BotSource {
    /// The bot's name: the agent's id, `sender_id` of what it says.
    pub name: BotName,
    /// The hash of its files.
    pub digest: BotDigest,
    /// Of its default prompts and its fallback reply.
    pub language: Language,
    /// Its persona.
    pub description: String,
    /// The persona of its proxy user.
    pub proxy_description: String,
    /// How it talks.
    pub settings: Settings,
    /// The policy chain, in order.
    pub policies: Vec<Policy>,
    /// Every action in the author's order; `UserUtter`, `BotUtter` and `Selector` always among them.
    pub actions: Vec<Action>,
    /// Every LLM in the author's order; the first is the default.
    pub llms: Vec<Llm>,
    /// Annotated dialogues (`policies:`), in file order.
    pub examples: Vec<Dialogue>,
    /// Hard rules (`triggers:`), in file order.
    pub rules: Vec<Dialogue>,
}

/// A bot that runs.
#[derive(Debug)]
pub struct Bot {
    source: BotSource,
    rules: Rules,
    thoughts: Thoughts,
    /// The actions that Selector may choose from, as a prompt describes them.
    action_descriptions: String,
}

impl Bot {
    /// Builds the indexes of the rules and examples, and what every prompt of Selector shows.
    #[must_use]
    pub fn compile(source: BotSource) -> Self {
        let rules = Rules::compile(&source);
        let thoughts = Thoughts::compile(&source);
        let mut bot = Self { source, rules, thoughts, action_descriptions: String::new() };
        bot.action_descriptions = prompt::action_descriptions(&bot);
        bot
    }

    /// The agent's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.source.name.as_str()
    }

    /// The hash of its files.
    #[must_use]
    pub fn digest(&self) -> &BotDigest {
        &self.source.digest
    }

    /// What it was compiled from.
    #[must_use]
    pub fn source(&self) -> &BotSource {
        &self.source
    }

    /// How it talks.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.source.settings
    }

    /// The compiled hard rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The compiled examples.
    #[must_use]
    pub fn thoughts(&self) -> &Thoughts {
        &self.thoughts
    }

    /// The actions that Selector may choose from, one a line.
    #[must_use]
    pub fn action_descriptions(&self) -> &str {
        &self.action_descriptions
    }

    /// The action of this exact name.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.source.actions.iter().find(|action| action.name == name)
    }

    /// The action an LLM meant: its exact name, else one that differs in case only.
    #[must_use]
    pub fn action_meant(&self, name: &str) -> Option<&Action> {
        let name = name.trim();
        self.action(name).or_else(|| {
            let folded = name.to_lowercase();
            self.source.actions.iter().find(|action| action.name.to_lowercase() == folded)
        })
    }

    /// The form of this exact name.
    #[must_use]
    pub fn form(&self, name: &str) -> Option<&Form> {
        self.action(name).and_then(Action::form)
    }

    /// The actions that Selector may choose from, in the author's order.
    pub fn selectable(&self) -> impl Iterator<Item = &Action> {
        self.source.actions.iter().filter(|action| action.name != SELECTOR && action.name != USER_UTTER)
    }

    /// The LLM of this name, else the default one.
    #[must_use]
    pub fn llm(&self, name: Option<&str>) -> Option<&Llm> {
        match name {
            Some(name) => self.source.llms.iter().find(|llm| llm.name == name),
            None => self.source.llms.first(),
        }
    }
}

/// Of the default prompts and the default fallback reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese.
    Chinese,
}

/// `dialogue.*` of agent.yml.
#[derive(Clone, Debug)]
pub struct Settings {
    /// An LLM plays the user.
    pub use_proxy_user: bool,
    /// Most exchanges of the proxy user.
    pub max_proxy_step: u32,
    /// Completion budget of each LLM call, in tokens.
    pub max_tokens: u32,
    /// Most actions in one turn.
    pub max_steps: u32,
    /// How actions are chosen.
    pub mode: Mode,
    /// What happens to a message while a turn runs.
    pub on_busy: OnBusy,
    /// Most waiting messages.
    pub max_queue: u32,
    /// History in a prompt, in estimated tokens.
    pub max_history_tokens: u32,
    /// What is said when nothing else can be.
    pub fallback: String,
}

/// How actions are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One LLM call for each decision, with the author's prompts.
    Prompts,
    /// Native function tools: choosing, filling and answering in one call.
    Tools,
}

/// What happens to a message that arrives while a turn runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBusy {
    /// It waits its turn.
    Queue,
    /// It is refused and not recorded.
    Reject,
    /// It cancels the running turn at its next step.
    Latest,
    /// All that wait are taken together as one message.
    Merge,
}

/// One link of the policy chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Next action by hard rules.
    Trigger,
    /// Thoughts from matching examples.
    Match,
    /// Thoughts from an LLM that has the examples in its knowledge base.
    Llm {
        /// The LLM for actions without an entry of their own; `None` where only named actions have one.
        default: Option<String>,
        /// The LLM for each named action.
        by_action: Vec<(String, String)>,
    },
}
