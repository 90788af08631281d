//! Counting the tokens that turns use, where they are used.

use std::sync::Arc;

use async_trait::async_trait;

use cota_core::machine::EffectError;
use cota_core::turn::Outcome;
use cota_driver::ports::{Effects, Job, Pieces};

use super::Limiter;

/// Effects that charge what LLM calls cost to whom they are for, before a turn learns of them. So it counts that a turn failed, was
/// cancelled or began again, and that whoever asked did not stay to hear the answer.
pub struct Metered {
    effects: Arc<dyn Effects>,
    limiter: Arc<Limiter>,
}

impl Metered {
    /// These effects, metered where there is a limit to tokens.
    #[must_use]
    pub fn over(effects: Arc<dyn Effects>, limiter: &Arc<Limiter>) -> Arc<dyn Effects> {
        if limiter.counts_tokens() { Arc::new(Self { effects, limiter: Arc::clone(limiter) }) } else { effects }
    }
}

#[async_trait]
impl Effects for Metered {
    async fn perform(&self, job: Job, pieces: Pieces) -> Result<Outcome, EffectError> {
        let (owner, run) = (job.conversation.owner.clone(), job.key.split('/').next().unwrap_or_default().to_owned());
        let outcome = self.effects.perform(job, pieces).await;
        if let Ok(Outcome::Llm(completion)) = &outcome {
            let tokens = completion.prompt_tokens.saturating_add(completion.completion_tokens);
            self.limiter.spend(&owner, &run, tokens).await;
        }
        outcome
    }
}
