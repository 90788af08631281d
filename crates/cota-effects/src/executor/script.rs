//! The `script` executor, over a port: only a local server runs programs.

use async_trait::async_trait;
use cota_core::bot::{Bot, ScriptCall};
use cota_core::event::Slots;
use cota_core::ids::BotDigest;
use cota_core::limits::EXECUTOR_ANSWER_BYTES;
use cota_core::machine::EffectError;

use super::template::fill;
use super::{Executed, answer, rejected};

/// Runs programs on the machine that serves the bot.
#[async_trait]
pub trait RunScript: Send + Sync {
    /// Runs one program to its end and returns what it printed to its standard output, of which more than
    /// [`EXECUTOR_ANSWER_BYTES`] need not be read.
    ///
    /// Dropping the future kills the program and its children: that is how its deadline is kept.
    ///
    /// # Errors
    /// When it cannot be started or ends with an error. The message reaches prompts.
    async fn run(&self, script: ScriptRun) -> Result<Vec<u8>, EffectError>;
}

/// A program to run, without a shell.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptRun {
    /// The name of the bot whose script it is.
    pub bot: String,
    /// That bot's digest.
    pub digest: BotDigest,
    /// The program, relative to the bot's folder.
    pub path: String,
    /// Its arguments, slots filled in.
    pub args: Vec<String>,
    /// The form's slots, for the program's standard input or environment.
    pub slots: Slots,
    /// For `COTA_IDEMPOTENCY_KEY`: the same for every attempt.
    pub idempotency_key: String,
}

/// For platforms without processes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoScripts;

#[async_trait]
impl RunScript for NoScripts {
    async fn run(&self, _script: ScriptRun) -> Result<Vec<u8>, EffectError> {
        Err(rejected("scripts run only on the local server; make it a web service and use `type: http`"))
    }
}

pub(super) async fn run(scripts: &dyn RunScript, bot: &Bot, call: &ScriptCall, slots: &Slots, key: &str) -> Result<Executed, EffectError> {
    let script = ScriptRun {
        bot: bot.name().to_owned(),
        digest: bot.digest().clone(),
        path: call.path.clone(),
        args: call.args.iter().map(|arg| fill(arg, slots)).collect(),
        slots: slots.clone(),
        idempotency_key: key.to_owned(),
    };
    let output = scripts.run(script).await?;
    if output.len() > EXECUTOR_ANSWER_BYTES { Err(answer::too_large()) } else { Ok(answer::read(&output)) }
}
