//! Counting the tokens that turns use, where they are used.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use cota_core::ids::RunId;
use cota_core::machine::EffectError;
use cota_core::turn::Outcome;
use cota_driver::ports::{Effects, Job, Pieces};

use super::Limiter;
use crate::address::ClientAddress;

/// Runs of which a process remembers where they were asked for.
const MOST_RUNS: usize = 10_000;

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

/// From which addresses runs were asked for.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    addresses: HashMap<String, ClientAddress>,
    order: VecDeque<String>,
}

impl Runs {
    pub(super) fn note(&self, run: &RunId, address: ClientAddress) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.order.len() >= MOST_RUNS
            && let Some(oldest) = noted.order.pop_front()
        {
            noted.addresses.remove(&oldest);
        }
        if noted.addresses.insert(run.as_str().to_owned(), address).is_none() {
            noted.order.push_back(run.as_str().to_owned());
        }
    }

    pub(super) fn address(&self, run: &str) -> Option<ClientAddress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).addresses.get(run).copied()
    }
}
