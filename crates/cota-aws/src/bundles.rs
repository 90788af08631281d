//! The bots of a deployment: those that the build put in, or every bundle of one folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cota_config::{Bundle, BundleError, Diagnostic, Loaded, Options, Severity, Target, codes};
use cota_core::bot::{Bot, Llm};
use cota_core::ids::{BotDigest, BotName};
use cota_core::task::Task;
use cota_driver::ports::Bots;
use cota_effects::StandardEffects;
use serde_json::value::RawValue;

use crate::settings::Environment;

/// What the build put in: the bundles of the folders that `COTA_BOT` named then, as one JSON list.
const BUILT_IN: &str = include_str!(concat!(env!("OUT_DIR"), "/bundles.json"));
/// What stands for the file of a bot that was put in.
const BINARY: &str = "(in the binary)";

/// The bots of a deployment, as they were when its environment started.
pub(crate) struct Bundles {
    bots: Vec<(BotName, Arc<Bot>)>,
    /// Its tasks, until they are served.
    tasks: Vec<Staff>,
}

/// A task, its planner's bot, its agents.
pub(crate) type Staff = (Task, Bot, Vec<Bot>);

/// Makes bots of bundles, as a deployment can serve them.
#[derive(Clone)]
pub(crate) struct Reader {
    /// Gives the variables that they name.
    pub(crate) environment: Arc<Environment>,
    /// What an invocation has for one call, in milliseconds.
    pub(crate) budget_ms: u64,
    /// Where bots are got ready before anybody talks to them, if anybody does here.
    pub(crate) effects: Option<Arc<StandardEffects>>,
}

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
    /// When one cannot be served.
    pub(crate) fn built_in(reader: &Reader) -> Result<Self, BundlesError> {
        let path = Path::new(BINARY);
        let bundles: Vec<&RawValue> = serde_json::from_str(BUILT_IN).unwrap_or_default();
        Self::of(path, bundles.into_iter().map(|bundle| Ok((path.to_owned(), bundle.get().to_owned()))), reader)
    }

    /// Reads every bundle of a folder; the first by file name is the default bot.
    ///
    /// # Errors
    /// When there is none, or one cannot be served.
    pub(crate) fn open(folder: &Path, reader: &Reader) -> Result<Self, BundlesError> {
        let read = |path: PathBuf| match fs::read_to_string(&path) {
            Ok(text) => Ok((path, text)),
            Err(source) => Err(BundlesError::Io { path, source }),
        };
        Self::of(folder, bundles_in(folder)?.into_iter().map(read), reader)
    }

    fn of(
        folder: &Path,
        bundles: impl Iterator<Item = Result<(PathBuf, String), BundlesError>>,
        reader: &Reader,
    ) -> Result<Self, BundlesError> {
        let (mut bots, mut tasks): (Vec<(BotName, Arc<Bot>)>, Vec<Staff>) = (Vec::new(), Vec::new());
        for bundle in bundles {
            let (path, text) = bundle?;
            let bundle = Bundle::parse(&text).map_err(|source| BundlesError::Bundle { path: path.clone(), source })?;
            if bundle.is_task() {
                tasks.push(reader.load_task(&path, bundle)?);
                continue;
            }
            let bot = reader.load(&path, bundle)?;
            let name = bot.source().name.clone();
            if bots.iter().any(|(other, _)| *other == name) {
                return Err(BundlesError::SameName { folder: folder.to_owned(), name });
            }
            bots.push((name, Arc::new(bot)));
        }
        if bots.is_empty() && tasks.is_empty() { Err(BundlesError::None(folder.to_owned())) } else { Ok(Self { bots, tasks }) }
    }

    /// The tasks, for whoever serves them.
    pub(crate) fn take_tasks(&mut self) -> Vec<Staff> {
        std::mem::take(&mut self.tasks)
    }

    /// Every bot; the agents of tasks are not among them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Bot>> {
        self.bots.iter().map(|(_, bot)| bot)
    }
}

impl Reader {
    /// What a bundle is here. A call that may outlast any invocation is an error: in flight it cannot be saved, so it would be
    /// begun anew for ever.
    pub(crate) fn read(&self, bundle: Bundle) -> Loaded {
        let mut loaded = self.with_variables(|lookup, options| cota_config::load_bundle(bundle, lookup, options));
        if let Some(too_long) = loaded.bot.as_ref().and_then(|bot| self.too_long(bot)) {
            loaded.diagnostics.push(too_long);
            loaded.bot = None;
        }
        if let (Some(effects), Some(bot)) = (&self.effects, &loaded.bot) {
            effects.warm(bot);
        }
        loaded
    }

    fn load(&self, path: &Path, bundle: Bundle) -> Result<Bot, BundlesError> {
        let loaded = self.read(bundle);
        loaded.bot.ok_or_else(|| broken(path, &loaded.diagnostics))
    }

    fn load_task(&self, path: &Path, bundle: Bundle) -> Result<Staff, BundlesError> {
        let mut loaded = self.with_variables(|lookup, options| cota_config::load_task_bundle(bundle, lookup, options));
        let mut diagnostics = std::mem::take(&mut loaded.diagnostics);
        let staff = loaded.into_staff();
        let agents = staff.iter().flat_map(|(_, planner, agents)| agents.iter().chain([planner]));
        let too_long: Vec<Diagnostic> = agents.filter_map(|agent| self.too_long(agent)).collect();
        let fits = too_long.is_empty();
        diagnostics.extend(too_long);
        let staff = staff.filter(|_| fits).ok_or_else(|| broken(path, &diagnostics))?;
        if let Some(effects) = &self.effects {
            staff.2.iter().for_each(|agent| effects.warm(agent));
        }
        Ok(staff)
    }

    fn with_variables<T>(&self, load: impl FnOnce(&dyn Fn(&str) -> Option<String>, &Options<'_>) -> T) -> T {
        let lookup = |name: &str| self.environment.get(name);
        let environment = lookup("COTA_ENV");
        load(&lookup, &Options { target: Target::Edge, environment: environment.as_deref(), ..Options::new("") })
    }

    fn too_long(&self, bot: &Bot) -> Option<Diagnostic> {
        let source = bot.source();
        let llms = source.llms.iter().map(|llm: &Llm| ("endpoints.yml", format!("the LLM `{}`", llm.name), llm.timeout_ms));
        let executors = source.actions.iter().filter_map(|action| {
            let executor = bot.form(&action.name)?.executor.as_ref()?;
            Some(("agent.yml", format!("the executer of `{}`", action.name), executor.timeout_ms))
        });
        let budget_ms = self.budget_ms;
        llms.chain(executors).find_map(|(file, what, timeout_ms)| {
            let timeout_ms = timeout_ms.filter(|timeout_ms| *timeout_ms > budget_ms)?;
            Some(Diagnostic {
                severity: Severity::Error,
                code: codes::OVER_LIMIT.name,
                file: file.to_owned(),
                line: None,
                column: None,
                message: format!("{what} may take {timeout_ms} ms, and an invocation has {budget_ms} ms for a call"),
                snippet: None,
                help: Some("write a shorter `timeout`, or give the functions more time".to_owned()),
            })
        })
    }
}

fn broken(path: &Path, diagnostics: &[Diagnostic]) -> BundlesError {
    let problems: Vec<String> = diagnostics.iter().map(Diagnostic::to_string).collect();
    BundlesError::Broken { path: path.to_owned(), problems: problems.join("; ") }
}

impl Bots for Bundles {
    fn current(&self, name: &BotName) -> Option<Arc<Bot>> {
        self.bots.iter().find(|(other, _)| other == name).map(|(_, bot)| Arc::clone(bot))
    }

    fn pinned(&self, name: &BotName, digest: &BotDigest) -> Option<Arc<Bot>> {
        self.current(name).filter(|bot| bot.digest() == digest)
    }

    fn names(&self) -> Vec<BotName> {
        self.bots.iter().map(|(name, _)| name.clone()).collect()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn loaded(timeout: &str) -> Loaded {
        let endpoints =
            format!("llms:\n  main: {{type: openai, model: m, key: k, apibase: \"https://llm.example\", timeout: {timeout}}}\n");
        let files = BTreeMap::from([("agent.yml".to_owned(), "system: {name: b}\n".to_owned()), ("endpoints.yml".to_owned(), endpoints)]);
        Reader { environment: Arc::default(), budget_ms: 20_000, effects: None }.read(Bundle::of(&files, "b"))
    }

    #[test]
    fn a_call_that_may_outlast_any_invocation_is_an_error() {
        assert!(loaded("20").bot.is_some());
        let loaded = loaded("21");
        assert!(loaded.bot.is_none());
        let said = loaded.diagnostics.iter().find(|diagnostic| diagnostic.is_error()).unwrap().to_string();
        assert_eq!(
            said,
            "endpoints.yml: error: the LLM `main` may take 21000 ms, and an invocation has 20000 ms for a call\n  \
             help: write a shorter `timeout`, or give the functions more time"
        );
    }
}
