use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use cota_config::{Diagnostic, StoreChoice};
use cota_core::bot::Bot;
use cota_core::ids::{BotDigest, BotName};
use cota_driver::ports::Bots;

use super::bot_path::{BotPath, ReadError, Stamp};
use super::scripts::Homes;

/// Earlier versions that are kept for runs that are pinned to them.
const MOST_EARLIER: usize = 64;

/// The bots of this process, each from its own folder.
pub struct Folders {
    shelf: RwLock<Shelf>,
}

struct Shelf {
    bots: Vec<Shelved>,
    /// The version replaced last is at the end.
    earlier: VecDeque<(BotName, Arc<Bot>)>,
}

struct Shelved {
    path: BotPath,
    name: BotName,
    bot: Arc<Bot>,
    /// The files as they were when they were looked at last, whether they made a bot or not.
    stamp: Stamp,
}

/// A bot that was read, with what is to be said about it.
#[derive(Debug)]
pub struct Opened {
    /// Where it was read from.
    pub path: BotPath,
    /// Where its own files want conversations kept.
    pub store: StoreChoice,
    /// Its warnings and notices.
    pub diagnostics: Vec<Diagnostic>,
}

/// Why bots cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenBotsError {
    /// One could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// One has errors.
    #[error("{} has errors", .path.path().display())]
    Broken {
        /// Which.
        path: BotPath,
        /// What is wrong with it.
        diagnostics: Vec<Diagnostic>,
    },
    /// Two have one name.
    #[error("{} and {} are both named `{name}`; change `system.name` in one agent.yml", .first.display(), .second.display())]
    SameName {
        /// The name.
        name: BotName,
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

/// What became of a changed folder.
#[derive(Debug)]
pub enum Reload {
    /// The bot is served as it is now.
    Swapped {
        /// It.
        bot: Arc<Bot>,
        /// Its warnings and notices.
        diagnostics: Vec<Diagnostic>,
    },
    /// The bot as it was goes on.
    Refused {
        /// Why.
        error: OpenBotsError,
    },
}

impl Folders {
    /// Loads each bot; the first is the default.
    ///
    /// # Errors
    /// When one cannot be served.
    pub fn open(paths: Vec<BotPath>) -> Result<(Self, Vec<Opened>), OpenBotsError> {
        let mut shelf = Shelf { bots: Vec::new(), earlier: VecDeque::new() };
        let mut opened = Vec::new();
        for path in paths {
            let stamp = path.stamp();
            let (bot, store, diagnostics) = load(&path)?;
            let name = bot.source().name.clone();
            shelf.check_name(&name, &path)?;
            shelf.bots.push(Shelved { path: path.clone(), name, bot: Arc::new(bot), stamp });
            opened.push(Opened { path, store, diagnostics });
        }
        Ok((Self { shelf: RwLock::new(shelf) }, opened))
    }

    /// Loads what changed on disk since it was looked at last. `prepare` gets each new bot ready before anybody talks to it.
    pub fn reload(&self, prepare: &dyn Fn(&Bot)) -> Vec<(BotPath, Reload)> {
        let known: Vec<(BotPath, Stamp)> =
            self.read(|shelf| shelf.bots.iter().map(|shelved| (shelved.path.clone(), shelved.stamp.clone())).collect());
        let changed = known.into_iter().filter_map(|(path, before)| {
            let stamp = path.stamp();
            (stamp != before).then_some((path, stamp))
        });
        changed.filter_map(|(path, stamp)| self.reload_one(&path, stamp, prepare).map(|reload| (path, reload))).collect()
    }

    /// Every bot as it is now, in order.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Bot>> {
        self.read(|shelf| shelf.bots.iter().map(|shelved| Arc::clone(&shelved.bot)).collect())
    }

    /// Nothing, where the bot means what it meant before.
    fn reload_one(&self, path: &BotPath, stamp: Stamp, prepare: &dyn Fn(&Bot)) -> Option<Reload> {
        let loaded = load(path);
        if let Ok((bot, _, _)) = &loaded {
            prepare(bot);
        }
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        shelf.bots.iter_mut().find(|shelved| shelved.path == *path)?.stamp = stamp;
        match loaded.and_then(|(bot, _, diagnostics)| shelf.swap(path, bot).map(|bot| (bot, diagnostics))) {
            Ok((bot, diagnostics)) => bot.map(|bot| Reload::Swapped { bot, diagnostics }),
            Err(error) => Some(Reload::Refused { error }),
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Shelf) -> T) -> T {
        look(&self.shelf.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shelf {
    fn check_name(&self, name: &BotName, path: &BotPath) -> Result<(), OpenBotsError> {
        match self.bots.iter().find(|other| other.name == *name && other.path != *path) {
            None => Ok(()),
            Some(other) => {
                let (first, second) = (other.path.path().to_owned(), path.path().to_owned());
                Err(OpenBotsError::SameName { name: name.clone(), first, second })
            }
        }
    }

    /// Puts a bot in the place of the one from the same path, unless it is the same.
    fn swap(&mut self, path: &BotPath, bot: Bot) -> Result<Option<Arc<Bot>>, OpenBotsError> {
        let name = bot.source().name.clone();
        self.check_name(&name, path)?;
        let Some(shelved) = self.bots.iter_mut().find(|shelved| shelved.path == *path) else { return Ok(None) };
        if shelved.bot.digest() == bot.digest() {
            return Ok(None);
        }
        let bot = Arc::new(bot);
        let before = (std::mem::replace(&mut shelved.name, name), std::mem::replace(&mut shelved.bot, Arc::clone(&bot)));
        self.earlier.push_back(before);
        if self.earlier.len() > MOST_EARLIER {
            self.earlier.pop_front();
        }
        Ok(Some(bot))
    }
}

impl Homes for Folders {
    fn folder(&self, bot: &BotName) -> Option<PathBuf> {
        self.read(|shelf| shelf.bots.iter().find(|shelved| shelved.name == *bot).map(|shelved| shelved.path.path().to_owned()))
            .filter(|path| path.is_dir())
    }
}

impl Bots for Folders {
    fn current(&self, name: &BotName) -> Option<Arc<Bot>> {
        self.read(|shelf| shelf.bots.iter().find(|shelved| shelved.name == *name).map(|shelved| Arc::clone(&shelved.bot)))
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

    fn names(&self) -> Vec<BotName> {
        self.read(|shelf| shelf.bots.iter().map(|shelved| shelved.name.clone()).collect())
    }
}

fn load(path: &BotPath) -> Result<(Bot, StoreChoice, Vec<Diagnostic>), OpenBotsError> {
    let loaded = path.load()?;
    match loaded.bot {
        Some(bot) => Ok((bot, loaded.store, loaded.diagnostics)),
        None => Err(OpenBotsError::Broken { path: path.clone(), diagnostics: loaded.diagnostics }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    struct OnDisk {
        folder: TempDir,
    }

    impl OnDisk {
        fn new() -> Self {
            let new = Self { folder: TempDir::new().unwrap() };
            new.write("one");
            new
        }

        /// A change of its length, so that it is seen however coarse the clock of the file system is.
        fn write(&self, description: &str) {
            let text = format!("system: {{name: b, description: {description}}}\n");
            fs::write(self.folder.path().join("agent.yml"), text).unwrap();
        }

        fn open(&self) -> Folders {
            Folders::open(BotPath::find(self.folder.path()).unwrap()).unwrap().0
        }
    }

    fn name() -> BotName {
        BotName::new("b").unwrap()
    }

    #[test]
    fn a_run_finds_the_bot_it_began_on_after_a_change() {
        let bot = OnDisk::new();
        let folders = bot.open();
        let first = folders.current(&name()).unwrap();
        bot.write("another");
        let mut prepared = Vec::new();
        let reloads = {
            let seen = std::sync::Mutex::new(&mut prepared);
            folders.reload(&|bot| seen.lock().unwrap().push(bot.digest().clone()))
        };
        assert!(matches!(reloads.as_slice(), [(_, Reload::Swapped { .. })]), "{reloads:?}");
        let second = folders.current(&name()).unwrap();
        assert_eq!(prepared, [second.digest().clone()], "it was got ready before anybody could talk to it");
        assert_ne!(first.digest(), second.digest());
        assert!(Arc::ptr_eq(&folders.pinned(&name(), first.digest()).unwrap(), &first));
        assert!(Arc::ptr_eq(&folders.pinned(&name(), second.digest()).unwrap(), &second));
        assert!(folders.reload(&|_| ()).is_empty(), "nothing has changed since");
    }

    #[test]
    fn a_broken_change_is_told_once_and_not_served() {
        let bot = OnDisk::new();
        let folders = bot.open();
        let first = folders.current(&name()).unwrap();
        bot.write("[");
        let reloads = folders.reload(&|_| ());
        assert!(matches!(reloads.as_slice(), [(_, Reload::Refused { error: OpenBotsError::Broken { .. } })]), "{reloads:?}");
        assert!(Arc::ptr_eq(&folders.current(&name()).unwrap(), &first));
        assert!(folders.reload(&|_| ()).is_empty(), "it was told already");
        bot.write("one");
        assert!(folders.reload(&|_| ()).is_empty(), "the bot is what it was");
    }

    #[test]
    fn a_comment_is_no_change_of_the_bot() {
        let bot = OnDisk::new();
        let folders = bot.open();
        fs::write(bot.folder.path().join("agent.yml"), "# For a reader.\nsystem: {name: b, description: one}\n").unwrap();
        assert!(folders.reload(&|_| ()).is_empty());
    }

    #[test]
    fn earlier_versions_are_kept_up_to_a_bound() {
        let bot = OnDisk::new();
        let folders = bot.open();
        let first = folders.current(&name()).unwrap();
        for n in 1..=MOST_EARLIER + 1 {
            bot.write(&"x".repeat(n + 10));
            assert_eq!(folders.reload(&|_| ()).len(), 1);
        }
        assert!(folders.pinned(&name(), first.digest()).is_none());
        assert_eq!(folders.shelf.read().unwrap().earlier.len(), MOST_EARLIER);
    }
}
