use async_trait::async_trait;
use cota_core::ids::{BotDigest, BotName};

use crate::pointer::Pointer;

/// Where published bots are read from. It judges nothing: that is what [`rules`](crate::rules) are for.
#[async_trait]
pub trait BundleSource: Send + Sync {
    /// The pointer of a bot, as it is there.
    async fn pointer(&self, bot: &BotName) -> Result<Option<Vec<u8>>, SourceError>;

    /// A bundle, as it is there. It reads at most [`BUNDLE_BYTES`](crate::rules::BUNDLE_BYTES).
    async fn bundle(&self, bot: &BotName, digest: &BotDigest) -> Result<Option<Vec<u8>>, SourceError>;
}

/// Where bots are published.
#[async_trait]
pub trait BundleSink: BundleSource {
    /// Writes a bundle under its digest; one that is there already is the same.
    async fn put_bundle(&self, pointer: &Pointer, text: &str) -> Result<(), SourceError>;

    /// Writes the pointer, after its bundle.
    async fn put_pointer(&self, pointer: &Pointer) -> Result<(), SourceError>;
}

/// A place that did not do what it was asked. It says neither keys nor tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It did not answer, or not in time: it is asked again at the next look.
    #[error("{place} is unavailable: {why}")]
    Unavailable {
        /// Which.
        place: &'static str,
        /// What went wrong.
        why: String,
    },
    /// It does not do what it was asked, and will not the next time.
    #[error("{place} refuses: {why}")]
    Refused {
        /// Which.
        place: &'static str,
        /// What it says.
        why: String,
    },
}
