use std::sync::Arc;

use async_trait::async_trait;
use cota_core::bot::{Bot, LlmKind};
use cota_core::machine::{EffectError, FailureKind};
use cota_core::prompt;
use cota_core::tracker::Tracker;
use cota_core::turn::{Completion, LlmCall, Outcome};
use cota_driver::ports::{Clock, Effects, Job, Pieces, Work};

use crate::executor::{Execution, Executors, NoScripts, RunScript};
use crate::http::HttpSend;
use crate::llm::{LlmClient, Question};
use crate::offline::Models;

/// Performs LLM calls and executors over the ports it is given. One for all conversations of a process: limits such as
/// `max_concurrent` are counted in it.
pub struct StandardEffects {
    clock: Arc<dyn Clock>,
    llms: LlmClient,
    models: Arc<Models>,
    executors: Executors,
}

impl StandardEffects {
    /// Effects of a platform that runs no scripts.
    #[must_use]
    pub fn new(http: Arc<dyn HttpSend>, clock: Arc<dyn Clock>) -> Self {
        Self::with_scripts(http, clock, Arc::new(NoScripts))
    }

    /// Effects of a platform that runs scripts.
    #[must_use]
    pub fn with_scripts(http: Arc<dyn HttpSend>, clock: Arc<dyn Clock>, scripts: Arc<dyn RunScript>) -> Self {
        Self {
            llms: LlmClient::new(Arc::clone(&http), Arc::clone(&clock)),
            models: Arc::default(),
            executors: Executors::new(http, scripts),
            clock,
        }
    }

    /// As these, and with the offline models that these have trained, for a platform on which the calls of one conversation must
    /// not wait for those of another: limits such as `max_concurrent` are counted anew.
    #[must_use]
    pub fn sharing_models(mut self, others: &Self) -> Self {
        self.models = Arc::clone(&others.models);
        self
    }

    /// Trains a bot's offline model, if it names one, so that its first turn need not wait for that. It takes milliseconds
    /// for most bots and seconds for the largest; where blocking matters, call it where it does not.
    pub fn warm(&self, bot: &Bot) {
        self.models.warm(bot);
    }

    async fn ask(&self, job: &Job, call: &LlmCall, tracker: &Tracker, pieces: &Pieces) -> Result<Completion, EffectError> {
        let bot = job.bot.as_ref();
        let llm = bot.llm(Some(&call.llm)).ok_or_else(|| {
            let message = format!("the bot has no LLM `{}`; name one of `llms` in endpoints.yml", call.llm);
            EffectError::new(FailureKind::Rejected, message)
        })?;
        match &llm.kind {
            LlmKind::Examples => {
                let completion = self.models.with(bot, |model| model.answer(bot, tracker, &call.purpose));
                if call.stream && !completion.content.is_empty() {
                    pieces.push(completion.content.clone());
                }
                Ok(completion)
            }
            LlmKind::OpenAi | LlmKind::OpenAiRag { .. } | LlmKind::Custom => {
                let chat = prompt::request(bot, tracker, call);
                let question = Question { bot, llm, chat, stream: call.stream, deadline: job.deadline };
                self.llms.ask(question, pieces).await
            }
        }
    }
}

#[async_trait]
impl Effects for StandardEffects {
    async fn perform(&self, job: Job, pieces: Pieces) -> Result<Outcome, EffectError> {
        let began = self.clock.now();
        let bot = job.bot.name();
        match &job.work {
            Work::Llm { call, tracker } => {
                let result = self.ask(&job, call, tracker, &pieces).await;
                let ms = self.clock.now().since(began);
                let (llm, purpose, attempt) = (call.llm.as_str(), call.purpose.name(), job.attempt);
                match &result {
                    Ok(Completion { prompt_tokens, completion_tokens, .. }) => {
                        tracing::info!(bot, llm, purpose, attempt, ms, prompt_tokens, completion_tokens, "LLM call");
                    }
                    // The server's own words may repeat a prompt: they go to the turn's trace, not to the log.
                    Err(error) => tracing::warn!(bot, llm, purpose, attempt, ms, failure = ?error.kind, "LLM call failed"),
                }
                result.map(Outcome::Llm)
            }
            Work::Plan { llm, chat } => {
                let found = job.bot.llm(Some(llm)).ok_or_else(|| {
                    EffectError::new(FailureKind::Rejected, format!("the task has no LLM `{llm}`; name one of `llms` in endpoints.yml"))
                })?;
                let question = Question { bot: &job.bot, llm: found, chat: chat.as_ref().clone(), stream: false, deadline: job.deadline };
                let result = self.llms.ask(question, &pieces).await;
                let (ms, is_ok) = (self.clock.now().since(began), result.is_ok());
                tracing::info!(task = bot, llm, ms, is_ok, "planner asked");
                result.map(Outcome::Llm)
            }
            Work::Executor { action, slots } => {
                let execution = Execution { bot: &job.bot, action, slots, key: &job.key };
                let result = self.executors.run(execution).await;
                let (ms, attempt) = (self.clock.now().since(began), job.attempt);
                match &result {
                    Ok(_) => tracing::info!(bot, action, attempt, ms, "executer ran"),
                    Err(error) => tracing::warn!(bot, action, attempt, ms, failure = ?error.kind, "executer failed"),
                }
                result.map(|done| Outcome::Executed { text: done.text, metadata: done.metadata })
            }
        }
    }
}
