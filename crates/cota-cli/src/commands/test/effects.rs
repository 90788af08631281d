//! The models that a test may name in the place of the bot's own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use cota_config::tests::ScriptedLlm;
use cota_core::machine::{EffectError, FailureKind};
use cota_core::turn::{Completion, Outcome};
use cota_driver::ports::{Effects, Job, Pieces, Work};
use cota_offline::ExamplesModel;

/// Effects with the model of one test: everything but LLM calls is as it is outside of tests.
pub(super) struct TestEffects {
    real: Arc<dyn Effects>,
    model: Model,
}

enum Model {
    Examples(Box<OnceLock<ExamplesModel>>),
    Answers(Mutex<VecDeque<String>>),
}

impl TestEffects {
    pub(super) fn new(real: Arc<dyn Effects>, llm: &ScriptedLlm) -> Self {
        let model = match llm {
            ScriptedLlm::Examples => Model::Examples(Box::default()),
            ScriptedLlm::Answers(answers) => Model::Answers(Mutex::new(answers.clone().into())),
        };
        Self { real, model }
    }
}

#[async_trait]
impl Effects for TestEffects {
    async fn perform(&self, job: Job, pieces: Pieces) -> Result<Outcome, EffectError> {
        let Work::Llm { call, tracker } = &job.work else { return self.real.perform(job, pieces).await };
        let completion = match &self.model {
            Model::Examples(model) => model.get_or_init(|| ExamplesModel::train(&job.bot)).answer(&job.bot, tracker, &call.purpose),
            Model::Answers(answers) => {
                let answer = answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let content = answer.ok_or_else(|| {
                    let message = format!("the test's `llm` has no answer left for the call `{}`", call.purpose.name());
                    EffectError::new(FailureKind::Rejected, message)
                })?;
                Completion { content, ..Completion::default() }
            }
        };
        if call.stream && !completion.content.is_empty() {
            pieces.push(completion.content.clone());
        }
        Ok(Outcome::Llm(completion))
    }
}
