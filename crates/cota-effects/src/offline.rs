//! The offline models of the bots that use one, trained once for each bot.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cota_core::bot::{Bot, LlmKind};
use cota_core::ids::BotDigest;
use cota_offline::ExamplesModel;

/// Most models that are kept; the one that was asked longest ago goes first.
const MOST_MODELS: usize = 32;

/// Trained models by the digest of their bot.
#[derive(Default)]
pub(crate) struct Models {
    /// The one asked last is at the end.
    kept: Mutex<VecDeque<(BotDigest, Arc<OnceLock<ExamplesModel>>)>>,
}

impl Models {
    /// Trains the model of a bot that has use for one.
    pub(crate) fn warm(&self, bot: &Bot) {
        if bot.source().llms.iter().any(|llm| llm.kind == LlmKind::Examples) {
            self.with(bot, |_| ());
        }
    }

    /// Asks the model of a bot, which is trained now if it was not before. Others who ask meanwhile wait for the same training.
    pub(crate) fn with<T>(&self, bot: &Bot, ask: impl FnOnce(&ExamplesModel) -> T) -> T {
        let model = self.of(bot.digest());
        ask(model.get_or_init(|| ExamplesModel::train(bot)))
    }

    fn of(&self, digest: &BotDigest) -> Arc<OnceLock<ExamplesModel>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|(known, _)| known == digest);
        let model = place.and_then(|place| kept.remove(place)).map(|(_, model)| model).unwrap_or_default();
        kept.push_back((digest.clone(), Arc::clone(&model)));
        if kept.len() > MOST_MODELS {
            kept.pop_front();
        }
        model
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_kept_while_it_is_among_the_last_that_were_asked() {
        let models = Models::default();
        let digest = |n: usize| BotDigest(n.to_string().into());
        let first = models.of(&digest(0));
        for n in 1..MOST_MODELS {
            let _ = models.of(&digest(n));
        }
        assert!(Arc::ptr_eq(&first, &models.of(&digest(0))));
        let second = models.of(&digest(1));
        for n in 0..MOST_MODELS - 1 {
            let _ = models.of(&digest(100 + n));
        }
        assert!(Arc::ptr_eq(&second, &models.of(&digest(1))));
        assert!(!Arc::ptr_eq(&first, &models.of(&digest(0))));
    }
}
