//! The bots of a deployment: those that the build put in, or every bundle of one folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cota_config::{Bundle, BundleError, Diagnostic, Options, Target};
use cota_core::bot::{Bot, Llm};
use cota_core::ids::{BotDigest, BotName};
use cota_driver::ports::Bots;
use serde_json::value::RawValue;

/// What the build put in: the bundles of the folders that `COTA_BOT` named then, as one JSON list.
const BUILT_IN: &str = include_str!(concat!(env!("OUT_DIR"), "/bundles.json"));
/// What stands for the file of a bot that was put in.
const BINARY: &str = "(in the binary)";

/// The bots of a deployment, as they were when its environment started.
pub(crate) struct Bundles(Vec<(BotName, Arc<Bot>)>);

/// Why bots cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundlesError {
    /// The folder or a file cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no bundle.
    #[error("there is no bundle in {}; `cota bundle BOT -o {}/BOT.json` writes one", .0.display(), .0.display())]
    None(PathBuf),
    /// A file is no bundle.
    #[error("{}: {source}", .path.display())]
    Bundle {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: BundleError,
    },
    /// A bot has errors.
    #[error("{}: {problems}", .path.display())]
    Broken {
        /// Its bundle.
        path: PathBuf,
        /// What is wrong with it.
        problems: String,
    },
    /// A bot allows a call more time than any invocation has.
    #[error(
        "{bot}: {what} may take {timeout_ms} ms, and an invocation has {budget_ms} ms for a call; write a shorter `timeout`, or give the functions more time"
    )]
    TooLong {
        /// The bot.
        bot: BotName,
        /// The LLM or the action.
        what: String,
        /// What is written.
        timeout_ms: u64,
        /// What there is.
        budget_ms: u64,
    },
    /// Two bots have one name.
    #[error("two bundles in {} are bots named `{name}`", .folder.display())]
    SameName {
        /// The folder.
        folder: PathBuf,
        /// The name.
        name: BotName,
    },
}

impl Bundles {
    /// The bots that the build put in.
    ///
    /// # Errors
    /// When one cannot be served by invocations that have `budget_ms` for a call.
    pub(crate) fn built_in(env: &dyn Fn(&str) -> Option<String>, budget_ms: u64) -> Result<Self, BundlesError> {
        let path = Path::new(BINARY);
        let bundles: Vec<&RawValue> = serde_json::from_str(BUILT_IN).unwrap_or_default();
        Self::of(path, bundles.into_iter().map(|bundle| Ok((path.to_owned(), bundle.get().to_owned()))), env, budget_ms)
    }

    /// Reads every bundle of a folder; the first by file name is the default bot. `env` gives the variables that they name.
    ///
    /// # Errors
    /// When there is none, or one cannot be served by invocations that have `budget_ms` for a call.
    pub(crate) fn open(folder: &Path, env: &dyn Fn(&str) -> Option<String>, budget_ms: u64) -> Result<Self, BundlesError> {
        let read = |path: PathBuf| match fs::read_to_string(&path) {
            Ok(text) => Ok((path, text)),
            Err(source) => Err(BundlesError::Io { path, source }),
        };
        Self::of(folder, bundles_in(folder)?.into_iter().map(read), env, budget_ms)
    }

    fn of(
        folder: &Path,
        bundles: impl Iterator<Item = Result<(PathBuf, String), BundlesError>>,
        env: &dyn Fn(&str) -> Option<String>,
        budget_ms: u64,
    ) -> Result<Self, BundlesError> {
        let mut bots: Vec<(BotName, Arc<Bot>)> = Vec::new();
        for bundle in bundles {
            let (path, text) = bundle?;
            let bot = load(&path, &text, env)?;
            check_budget(&bot, budget_ms)?;
            let name = bot.source().name.clone();
            if bots.iter().any(|(other, _)| *other == name) {
                return Err(BundlesError::SameName { folder: folder.to_owned(), name });
            }
            bots.push((name, Arc::new(bot)));
        }
        if bots.is_empty() { Err(BundlesError::None(folder.to_owned())) } else { Ok(Self(bots)) }
    }

    /// Every bot.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Bot> {
        self.0.iter().map(|(_, bot)| bot.as_ref())
    }
}

impl Bots for Bundles {
    fn current(&self, name: &BotName) -> Option<Arc<Bot>> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, bot)| Arc::clone(bot))
    }

    fn pinned(&self, name: &BotName, digest: &BotDigest) -> Option<Arc<Bot>> {
        self.current(name).filter(|bot| bot.digest() == digest)
    }

    fn names(&self) -> Vec<BotName> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }
}

fn bundles_in(folder: &Path) -> Result<Vec<PathBuf>, BundlesError> {
    let unreadable = |source| BundlesError::Io { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn load(path: &Path, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Bot, BundlesError> {
    let bundle = Bundle::parse(text).map_err(|source| BundlesError::Bundle { path: path.to_owned(), source })?;
    let environment = env("COTA_ENV");
    let options = Options { target: Target::Edge, environment: environment.as_deref(), ..Options::new("") };
    let loaded = cota_config::load_bundle(bundle, env, &options);
    loaded.bot.ok_or_else(|| {
        let problems: Vec<String> = loaded.diagnostics.iter().map(Diagnostic::to_string).collect();
        BundlesError::Broken { path: path.to_owned(), problems: problems.join("; ") }
    })
}

/// A call in flight cannot be saved: one that may outlast any invocation would be begun anew for ever.
fn check_budget(bot: &Bot, budget_ms: u64) -> Result<(), BundlesError> {
    let source = bot.source();
    let llms = source.llms.iter().map(|llm: &Llm| (format!("the LLM `{}`", llm.name), llm.timeout_ms));
    let executors = source.actions.iter().filter_map(|action| {
        let executor = bot.form(&action.name)?.executor.as_ref()?;
        Some((format!("the executer of `{}`", action.name), executor.timeout_ms))
    });
    for (what, timeout_ms) in llms.chain(executors) {
        if let Some(timeout_ms) = timeout_ms.filter(|timeout_ms| *timeout_ms > budget_ms) {
            return Err(BundlesError::TooLong { bot: source.name.clone(), what, timeout_ms, budget_ms });
        }
    }
    Ok(())
}
