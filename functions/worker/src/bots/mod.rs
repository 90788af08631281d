//! The bots of the deployment: those that were built in.

mod bundled;

use std::sync::{Arc, OnceLock};

use worker::Env;

use cota_core::bot::Bot;
use cota_core::ids::{BotDigest, BotName};
use cota_driver::ports::Bots;

use crate::settings::setting;

/// The bots, the default one first.
#[derive(Debug)]
pub(crate) struct Deployed {
    bots: Vec<(BotName, Arc<Bot>)>,
}

impl Deployed {
    /// The bots of this isolate, loaded on first use. Variables of their files are those of the Worker.
    pub(crate) fn of(env: &Env) -> Arc<Self> {
        static DEPLOYED: OnceLock<Arc<Deployed>> = OnceLock::new();
        Arc::clone(DEPLOYED.get_or_init(|| {
            let mut bots = bundled::load(env);
            if let Some(name) = setting(env, "COTA_DEFAULT_BOT") {
                // A stable sort keeps the others in the order of the build.
                bots.sort_by_key(|(known, _)| known.as_str() != name);
            }
            Arc::new(Self { bots })
        }))
    }
}

impl Bots for Deployed {
    fn current(&self, name: &BotName) -> Option<Arc<Bot>> {
        self.bots.iter().find(|(known, _)| known == name).map(|(_, bot)| Arc::clone(bot))
    }

    fn pinned(&self, name: &BotName, digest: &BotDigest) -> Option<Arc<Bot>> {
        self.current(name).filter(|bot| bot.digest() == digest)
    }

    fn names(&self) -> Vec<BotName> {
        self.bots.iter().map(|(name, _)| name.clone()).collect()
    }
}
