//! Executors: what a form does once its slots are filled.

mod answer;
mod http;
mod script;
mod template;
mod url;

pub use script::{NoScripts, RunScript, ScriptRun};

use std::sync::Arc;

use cota_core::bot::{Bot, ExecutorKind, MockCall, Safety};
use cota_core::event::Slots;
use cota_core::machine::{EffectError, FailureKind};
use serde_json::{Map, Value as Json};

use crate::http::{HttpError, HttpSend};
use cota_driver::address::Forbidden;

/// Runs the executors of every bot of a process.
pub(crate) struct Executors {
    http: Arc<dyn HttpSend>,
    scripts: Arc<dyn RunScript>,
}

/// What an executor is run for.
pub(crate) struct Execution<'a> {
    /// The bot it belongs to.
    pub(crate) bot: &'a Bot,
    /// The form.
    pub(crate) action: &'a str,
    /// Its slots.
    pub(crate) slots: &'a Slots,
    /// The same for every attempt.
    pub(crate) key: &'a str,
}

/// What an executor came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Executed {
    /// Its text.
    pub(crate) text: String,
    /// Whatever came with it.
    pub(crate) metadata: Map<String, Json>,
}

impl Executors {
    pub(crate) fn new(http: Arc<dyn HttpSend>, scripts: Arc<dyn RunScript>) -> Self {
        Self { http, scripts }
    }

    pub(crate) async fn run(&self, execution: Execution<'_>) -> Result<Executed, EffectError> {
        let Execution { bot, action, slots, key } = execution;
        let executor = bot
            .form(action)
            .and_then(|form| form.executor.as_ref())
            .ok_or_else(|| rejected(format!("action `{action}` has no executer")))?;
        match &executor.kind {
            ExecutorKind::Http(call) => http::run(self.http.as_ref(), call, executor.safety, slots, key).await,
            ExecutorKind::Mock(call) => Ok(mock(call, slots)),
            ExecutorKind::Script(call) => script::run(self.scripts.as_ref(), bot, call, slots, key).await,
            // Whoever has tasks performs these before anybody is asked here.
            ExecutorKind::Task(_) => Err(rejected("tasks are not started here")),
            ExecutorKind::Unsupported { written, way_out } => {
                Err(rejected(format!("executers of type `{written}` are not run here. {way_out}")))
            }
        }
    }
}

fn mock(call: &MockCall, slots: &Slots) -> Executed {
    let text = match &call.text {
        Some(text) => template::fill(text, slots),
        None => Json::Object(slots.clone()).to_string(),
    };
    Executed { text, metadata: Map::new() }
}

fn rejected(message: impl Into<String>) -> EffectError {
    EffectError::new(FailureKind::Rejected, message)
}

/// A failure on the way. Where a second try could do the thing twice, nobody is told that it was not done.
fn failed_on_the_way(error: &HttpError, safety: Safety) -> EffectError {
    let uncertain = safety == Safety::AtMostOnce && error.may_have_arrived();
    match error {
        HttpError::Forbidden(error) => not_called(*error),
        HttpError::TooLarge { .. } => answer::too_large(),
        HttpError::Cut | HttpError::Timeout if uncertain => unusable(FailureKind::OutcomeUnknown, error),
        HttpError::Timeout => unusable(FailureKind::TimedOut, error),
        HttpError::Cut | HttpError::Connect | HttpError::Tls => unusable(FailureKind::Transient, error),
    }
}

fn unusable(kind: FailureKind, error: &HttpError) -> EffectError {
    EffectError::new(kind, format!("the service was not usable: {error}"))
}

fn not_called(error: Forbidden) -> EffectError {
    rejected(format!("the service was not called: {error}"))
}
