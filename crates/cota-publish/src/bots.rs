use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use cota_config::{Bundle, Loaded, summary};
use cota_core::bot::Bot;
use cota_core::ids::{BotDigest, BotName, Timestamp};
use cota_driver::ports::Bots;
use futures_util::future::BoxFuture;

use crate::pointer::Pointer;
use crate::rules::{self, Refusal};
use crate::source::{BundleSource, SourceError};

/// Earlier versions that are kept for runs that are pinned to them.
const MOST_EARLIER: usize = 8;

/// How a place is read.
pub struct Reading {
    /// The place.
    pub source: Arc<dyn BundleSource>,
    /// Makes a bot of a bundle, with the variables of where it is served.
    pub load: Box<dyn Fn(Bundle) -> Loaded + Send + Sync>,
    /// How much time passes between two looks at least, in milliseconds.
    pub every_ms: u64,
}

/// A bot that a deployment has without any place: it is served until there is a published version.
pub struct Built {
    /// Its name.
    pub name: BotName,
    /// What it is; nothing where there is only what is published.
    pub bot: Option<Arc<Bot>>,
}

/// Bots that change while they are served: the next turn of each conversation takes the new version, a running one keeps its own.
pub struct PublishedBots {
    reading: Reading,
    shelf: RwLock<Shelf>,
    next_look: AtomicU64,
}

struct Shelf {
    bots: Vec<Shelved>,
    /// The version that was replaced last is at the end.
    earlier: VecDeque<(BotName, Arc<Bot>)>,
}

struct Shelved {
    name: BotName,
    bot: Option<Arc<Bot>>,
    /// What the bot was read by.
    pointer: Option<Pointer>,
    /// A pointer that was followed in vain: it is told once and not followed again.
    refused: Option<Vec<u8>>,
}

enum Trouble {
    Source(SourceError),
    Refused(Refusal),
}

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl PublishedBots {
    /// These bots, the first of which is the default one. Nothing is read yet.
    #[must_use]
    pub fn new(reading: Reading, built: Vec<Built>) -> Self {
        let shelve = |Built { name, bot }| Shelved { name, bot, pointer: None, refused: None };
        let shelf = Shelf { bots: built.into_iter().map(shelve).collect(), earlier: VecDeque::new() };
        Self { reading, shelf: RwLock::new(shelf), next_look: AtomicU64::new(0) }
    }

    /// Looks for newer versions, unless somebody has looked just now. Whatever goes wrong is logged and changes nothing.
    pub async fn look(&self, now: Timestamp) {
        let next = self.next_look.load(Ordering::Relaxed);
        let after = now.0.saturating_add(self.reading.every_ms);
        // Of several callers at once one looks.
        if now.0 >= next && self.next_look.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            for name in self.names() {
                self.look_at(&name).await;
            }
        }
    }

    async fn look_at(&self, name: &BotName) {
        let text = match self.reading.source.pointer(name).await {
            Ok(Some(text)) => text,
            Ok(None) => return,
            Err(error) => return tracing::warn!(bot = %name, %error, "published versions were not looked for; the bot as it was goes on"),
        };
        if self.with(name, |shelved| shelved.refused.as_ref() == Some(&text)) == Some(true) {
            return;
        }
        match self.follow(name, &text).await {
            Ok(None) => {}
            Ok(Some((pointer, bot))) => {
                tracing::info!(bot = %name, digest = %pointer.digest.0, sequence = pointer.sequence, "a published version is served from now on");
                self.swap(name, pointer, bot);
            }
            Err(Trouble::Source(error)) => {
                tracing::warn!(bot = %name, %error, "a published version could not be read; the bot as it was goes on");
            }
            Err(Trouble::Refused(refusal)) => {
                tracing::error!(bot = %name, %refusal, "a published version is refused; the bot as it was goes on");
                self.with(name, |shelved| shelved.refused = Some(text));
            }
        }
    }

    async fn follow(&self, name: &BotName, text: &[u8]) -> Result<Option<(Pointer, Arc<Bot>)>, Trouble> {
        let serving = self.with(name, |shelved| shelved.pointer.clone()).flatten();
        let Some(pointer) = rules::read_pointer(text, name, serving.as_ref())? else { return Ok(None) };
        let bot = match self.pinned(name, &pointer.digest) {
            Some(known) => known,
            None => self.fetch(name, &pointer.digest).await?,
        };
        Ok(Some((pointer, bot)))
    }

    async fn fetch(&self, name: &BotName, digest: &BotDigest) -> Result<Arc<Bot>, Trouble> {
        let bytes = self.reading.source.bundle(name, digest).await?.ok_or(Refusal::Missing)?;
        let loaded = (self.reading.load)(rules::read_bundle(&bytes, digest)?);
        let bot = loaded.bot.ok_or_else(|| Refusal::Broken(summary(&loaded.diagnostics)))?;
        if bot.source().name != *name {
            return Err(Refusal::OtherBot { expected: name.clone(), found: bot.name().to_owned() }.into());
        }
        Ok(Arc::new(bot))
    }

    fn swap(&self, name: &BotName, pointer: Pointer, bot: Arc<Bot>) {
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        let Some(shelved) = shelf.bots.iter_mut().find(|shelved| shelved.name == *name) else { return };
        shelved.pointer = Some(pointer);
        shelved.refused = None;
        let before = shelved.bot.replace(bot);
        shelf.keep(name, before);
    }

    /// Runs `work` on a bot's place on the shelf, alone.
    fn with<T>(&self, name: &BotName, work: impl FnOnce(&mut Shelved) -> T) -> Option<T> {
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        shelf.bots.iter_mut().find(|shelved| shelved.name == *name).map(work)
    }

    fn read<T>(&self, look: impl FnOnce(&Shelf) -> T) -> T {
        look(&self.shelf.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shelf {
    fn keep(&mut self, name: &BotName, bot: Option<Arc<Bot>>) {
        self.earlier.extend(bot.map(|bot| (name.clone(), bot)));
        if self.earlier.len() > MOST_EARLIER {
            self.earlier.pop_front();
        }
    }
}

impl Bots for PublishedBots {
    fn current(&self, name: &BotName) -> Option<Arc<Bot>> {
        self.read(|shelf| shelf.bots.iter().find(|shelved| shelved.name == *name)?.bot.clone())
    }

    fn pinned(&self, name: &BotName, digest: &BotDigest) -> Option<Arc<Bot>> {
        let current = self.current(name).filter(|bot| bot.digest() == digest);
        current.or_else(|| {
            self.read(|shelf| {
                let is_meant = |(other, bot): &&(BotName, Arc<Bot>)| other == name && bot.digest() == digest;
                shelf.earlier.iter().rev().find(is_meant).map(|(_, bot)| Arc::clone(bot))
            })
        })
    }

    fn recall<'a>(&'a self, name: &'a BotName, digest: &'a BotDigest) -> BoxFuture<'a, Option<Arc<Bot>>> {
        Box::pin(async move {
            if let Some(known) = self.pinned(name, digest) {
                return Some(known);
            }
            match self.fetch(name, digest).await {
                Ok(bot) => {
                    self.shelf.write().unwrap_or_else(PoisonError::into_inner).keep(name, Some(Arc::clone(&bot)));
                    Some(bot)
                }
                Err(Trouble::Source(error)) => {
                    tracing::warn!(bot = %name, %error, "the version of a saved run could not be read");
                    None
                }
                Err(Trouble::Refused(refusal)) => {
                    tracing::warn!(bot = %name, %refusal, "the version of a saved run is refused");
                    None
                }
            }
        })
    }

    fn names(&self) -> Vec<BotName> {
        self.read(|shelf| shelf.bots.iter().map(|shelved| shelved.name.clone()).collect())
    }
}
