//! Bots in two versions, and a place in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cota_config::{Bundle, Loaded, Options};
use cota_core::ids::{BotDigest, BotName};
use cota_publish::{BundleSink, BundleSource, Pointer, SourceError};

pub(crate) fn name() -> BotName {
    BotName::new("b").unwrap()
}

/// The bot `b` with this description.
pub(crate) fn bundle(description: &str) -> Bundle {
    bundle_of("b", description)
}

pub(crate) fn bundle_of(name: &str, description: &str) -> Bundle {
    let agent = format!("system: {{name: {name}, description: {description}}}\n");
    Bundle::of(&BTreeMap::from([("agent.yml".to_owned(), agent)]), "folder")
}

pub(crate) fn load(bundle: Bundle) -> Loaded {
    cota_config::load_bundle(bundle, &|_| None, &Options::new(""))
}

/// A place whose contents a test may change as it likes.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    values: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// The names that were read, in order.
    read: Arc<Mutex<Vec<String>>>,
}

impl Memory {
    pub(crate) fn set(&self, name: String, value: impl Into<Vec<u8>>) {
        self.values.lock().unwrap().insert(name, value.into());
    }

    pub(crate) fn reads(&self) -> usize {
        self.read.lock().unwrap().len()
    }

    fn get(&self, name: String) -> Option<Vec<u8>> {
        let value = self.values.lock().unwrap().get(&name).cloned();
        self.read.lock().unwrap().push(name);
        value
    }
}

#[async_trait]
impl BundleSource for Memory {
    async fn pointer(&self, bot: &BotName) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.get(Pointer::name_of(bot)))
    }

    async fn bundle(&self, bot: &BotName, digest: &BotDigest) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.get(Pointer::bundle_name(bot, digest)))
    }
}

#[async_trait]
impl BundleSink for Memory {
    async fn put_bundle(&self, pointer: &Pointer, text: &str) -> Result<(), SourceError> {
        self.set(Pointer::bundle_name(&pointer.bot, &pointer.digest), text);
        Ok(())
    }

    async fn put_pointer(&self, pointer: &Pointer) -> Result<(), SourceError> {
        self.set(Pointer::name_of(&pointer.bot), pointer.to_json());
        Ok(())
    }
}
