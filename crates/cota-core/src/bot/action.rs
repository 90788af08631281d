//! Actions: what a bot can do in a turn.

use serde::{Deserialize, Serialize};

use crate::prompt::Template;

/// One action of a bot.
#[derive(Clone, Debug)]
pub struct Action {
    /// Its name, as the author wrote it.
    pub name: String,
    /// What it is for: what Selector chooses by.
    pub description: String,
    /// The author's prompt; a default one is used where absent.
    pub prompt: Option<Template>,
    /// The LLM that answers the prompt; absent: the default one.
    pub llm: Option<String>,
    /// What it does.
    pub kind: ActionKind,
}

impl Action {
    /// The form, if it is one.
    #[must_use]
    pub fn form(&self) -> Option<&Form> {
        match &self.kind {
            ActionKind::Form(form) => Some(form),
            ActionKind::UserUtter | ActionKind::Selector | ActionKind::Utterance => None,
        }
    }

    /// Whether it speaks to the user and ends the turn.
    #[must_use]
    pub fn is_utterance(&self) -> bool {
        matches!(self.kind, ActionKind::Utterance)
    }
}

/// What an action does.
#[derive(Clone, Debug)]
pub enum ActionKind {
    /// The user's own: what was said, or the proxy user's prompt.
    UserUtter,
    /// Chooses the next action.
    Selector,
    /// `BotUtter`, or an utterance under its own name.
    Utterance,
    /// Collects slots and executes.
    Form(Form),
}

/// Slots to fill and what to do with them.
#[derive(Clone, Debug)]
pub struct Form {
    /// In the author's order; the first missing one is asked for.
    pub slots: Vec<Slot>,
    /// What runs once all are filled; absent: the slots themselves are the result.
    pub executor: Option<Executor>,
}

/// A value that a form collects.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// What it means.
    pub description: String,
    /// How to ask for it; absent: a default prompt.
    pub prompt: Option<Template>,
    /// The LLM that asks; absent: BotUtter's.
    pub llm: Option<String>,
    /// The values it may take, for the offline model and for tool schemas.
    pub values: Vec<String>,
    /// What its values look like, for the offline model.
    pub pattern: Option<Pattern>,
    /// Some of its values, for the offline model.
    pub examples: Vec<String>,
}

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub struct Pattern(regex_lite::Regex);

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// The syntax error in words.
    pub fn new(text: &str) -> Result<Self, String> {
        regex_lite::Regex::new(text).map(Self).map_err(|error| error.to_string())
    }

    /// The pattern as the author wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The first match: its first group if it has one, else the whole.
    #[must_use]
    pub fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        let captures = self.0.captures(text)?;
        captures.get(1).or_else(|| captures.get(0)).map(|found| found.as_str())
    }
}

/// What runs once a form's slots are filled.
#[derive(Clone, Debug)]
pub struct Executor {
    /// How it runs.
    pub kind: ExecutorKind,
    /// The result texts that a trigger may name; `<text>` stands for any other.
    pub output: Vec<String>,
    /// Its time in milliseconds; absent: the default, cut to the invocation's budget.
    pub timeout_ms: Option<u64>,
    /// What a second try after a crash may do.
    pub safety: Safety,
}

/// How an executor runs.
#[derive(Clone, Debug)]
pub enum ExecutorKind {
    /// A call of a web service.
    Http(HttpCall),
    /// No call: an answer made up on the spot.
    Mock(MockCall),
    /// A program on the machine that serves the bot; local only.
    Script(ScriptCall),
    /// A task that is started, or a step of it that is answered.
    Task(TaskCall),
    /// A type that this platform does not run: its result is an `error` that names the way out.
    Unsupported {
        /// As written: `python`, `plugin`, `mcp`.
        written: String,
        /// What to do instead, as a sentence.
        way_out: String,
    },
}

/// A call of a web service.
#[derive(Clone, Debug)]
pub struct HttpCall {
    /// Where; `{slot}` in its path or query is filled in.
    pub url: String,
    /// How.
    pub method: HttpMethod,
    /// Headers to send, in the author's order. Values are secrets.
    pub headers: Vec<(String, super::Secret)>,
}

/// How slots travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// As the query string.
    Get,
    /// As a JSON body.
    Post,
    /// As a JSON body.
    Put,
    /// As a JSON body.
    Patch,
    /// As a JSON body.
    Delete,
}

/// An answer made up on the spot.
#[derive(Clone, Debug)]
pub struct MockCall {
    /// The text, `{slot}` filled in; absent: the slots as JSON.
    pub text: Option<String>,
}

/// A program to run, without a shell.
#[derive(Clone, Debug)]
pub struct ScriptCall {
    /// The program, relative to the bot's folder.
    pub path: String,
    /// Its arguments; `{slot}` in one is filled in and stays one argument.
    pub args: Vec<String>,
}

/// A task that a conversation starts, or a step of it that the conversation answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskCall {
    /// The task's name.
    pub task: crate::ids::BotName,
    /// The step that is answered, of the task of this name that the conversation started last; absent: a task is started.
    pub step: Option<String>,
}

impl TaskCall {
    /// The slot that tells an answer's task. The platform fills it.
    pub const ID_SLOT: &'static str = "task_id";
}

/// What a second try after a crash may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Safety {
    /// It changes nothing: perform it again.
    ReadOnly,
    /// It honours the idempotency key: perform it again under the same key.
    Idempotent,
    /// It may have happened: never again.
    AtMostOnce,
}
