//! Published versions in Workers KV, where the deployment has a namespace for them.

use std::sync::Arc;

use async_trait::async_trait;
use worker::Env;
use worker::kv::KvStore;
use worker::send::{SendFuture, SendWrapper};

use cota_core::ids::{BotDigest, BotName};
use cota_publish::{BundleSource, Pointer, SourceError};

/// The binding of the namespace in wrangler.toml.
const BINDING: &str = "BOTS";

/// The place that wrangler.toml binds, if it does.
pub(super) fn source(env: &Env) -> Arc<dyn BundleSource> {
    match env.kv(BINDING) {
        Ok(namespace) => Arc::new(Namespace(SendWrapper(namespace))),
        Err(_) => Arc::new(Nowhere),
    }
}

/// A namespace of Workers KV. It may be a minute behind, so it has bots and never conversations.
struct Namespace(SendWrapper<KvStore>);

/// No place: nothing is ever published.
struct Nowhere;

impl Namespace {
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let read = SendFuture::new(self.0.get(name).bytes()).await;
        read.map_err(|error| SourceError::Unavailable { place: "Workers KV", why: error.to_string() })
    }
}

#[async_trait]
impl BundleSource for Namespace {
    async fn pointer(&self, bot: &BotName) -> Result<Option<Vec<u8>>, SourceError> {
        SendFuture::new(self.read(&Pointer::name_of(bot))).await
    }

    async fn bundle(&self, bot: &BotName, digest: &BotDigest) -> Result<Option<Vec<u8>>, SourceError> {
        SendFuture::new(self.read(&Pointer::bundle_name(bot, digest))).await
    }
}

#[async_trait]
impl BundleSource for Nowhere {
    async fn pointer(&self, _bot: &BotName) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(None)
    }

    async fn bundle(&self, _bot: &BotName, _digest: &BotDigest) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(None)
    }
}
