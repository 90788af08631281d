use cota_core::ids::{BotDigest, BotName, Timestamp};
use serde::{Deserialize, Serialize};

/// The version of the pointer's own form.
pub(crate) const VERSION: u32 = 1;

/// Which version of a bot is served: a small JSON text beside the bundles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// The version of its form.
    pub cota_pointer: u32,
    /// The bot.
    pub bot: BotName,
    /// The bundle.
    pub digest: BotDigest,
    /// Rises with every version, an old bundle that is published again included.
    pub sequence: u64,
    /// How many bytes the bundle has.
    pub size: u64,
    /// When it was published.
    pub pushed_at: Timestamp,
}

impl Pointer {
    /// The pointer as text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The name under which a place keeps the pointer of a bot.
    #[must_use]
    pub fn name_of(bot: &BotName) -> String {
        format!("cota/bots/{bot}/pointer")
    }

    /// The name under which a place keeps a bundle.
    #[must_use]
    pub fn bundle_name(bot: &BotName, digest: &BotDigest) -> String {
        format!("cota/bots/{bot}/bundles/{}", digest.0)
    }
}
