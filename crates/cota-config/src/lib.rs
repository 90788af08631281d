//! From a bot folder to a validated [`Bot`]: parsing, diagnostics, bundles.
//!
//! The folder is a map of paths to texts; this crate reads no files, no environment and no clock. `cota-cli` does the
//! reading, and Lambda and Workers hand over a [`Bundle`].
//!
//! **Key decision: parse once, into a tree that knows where everything is written.** YAML and bundles become the same
//! tree, and one reader turns those into the core's types. So a bundle means what its folder means, every problem of a
//! bot is found in one run with file, line and column, and the Worker carries no YAML code (feature `yaml`).
//!
//! - [`load`] and [`load_bundle`]: the way in. [`Diagnostic`]: what is wrong, and [`codes`] every kind of it.
//! - [`tests`]: conversation tests. [`export`]: the examples as documents.
//! - [`load_task`] and [`load_task_bundle`]: a task and its agents.
//! - `parts`: a folder's files and a bundle's as the same trees.
//! - `agent`, `actions`, `executor`, `endpoints`, `dialogues`: the reader of each part. `keys`: every key of the format.

mod actions;
mod agent;
mod bundle;
pub mod codes;
mod diagnostic;
mod dialogues;
mod endpoints;
mod environment;
mod executor;
pub mod export;
mod fields;
mod files;
#[cfg(feature = "yaml")]
mod folder;
#[cfg(feature = "yaml")]
#[doc(hidden)]
pub mod fuzzing;
mod keys;
mod language;
mod load;
mod names;
mod nearest;
mod node;
mod parts;
mod prompts;
mod report;
mod rules;
mod secrets;
mod sources;
mod task;
#[cfg(feature = "yaml")]
pub mod tests;
#[cfg(feature = "yaml")]
mod yaml;

use std::collections::BTreeMap;

use cota_core::bot::Bot;

pub use bundle::{Bundle, BundleError};
pub use diagnostic::{Diagnostic, Severity, render, summary};
pub use endpoints::StoreChoice;
pub use task::{LoadedTask, load_task_bundle};
#[cfg(feature = "yaml")]
pub use task::{load_agent, load_task};

use environment::Environment;
use parts::Parts;
use report::Report;

/// A bot folder: paths relative to it, with `/`, and the files' texts. Files that are no part of a bot are ignored.
pub type Files = BTreeMap<String, String>;

/// Where a bot is to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// On a machine, with `cota run`.
    #[default]
    Local,
    /// Where there are no programs to run: Lambda and Workers.
    Edge,
}

/// How to load a bot.
#[derive(Clone, Copy, Debug)]
pub struct Options<'o> {
    /// The folder's name: the agent's, where agent.yml gives none.
    pub folder: &'o str,
    /// The task that the bot is an agent of: its name is then `task/agent`.
    pub within: Option<&'o str>,
    /// `COTA_ENV`: which `endpoints.<env>.yml` is laid over endpoints.yml.
    pub environment: Option<&'o str>,
    /// Where the bot is to run.
    pub target: Target,
    /// Whether variables may be set later, as when a bundle is written: a missing one is then no error.
    pub variables_may_come_later: bool,
}

impl<'o> Options<'o> {
    /// A bot of a folder that runs on this machine.
    #[must_use]
    pub fn new(folder: &'o str) -> Self {
        Self { folder, within: None, environment: None, target: Target::Local, variables_may_come_later: false }
    }
}

/// What came of loading.
#[derive(Debug)]
pub struct Loaded {
    /// The bot, if there is no error.
    pub bot: Option<Bot>,
    /// Where it wants its conversations kept.
    pub store: StoreChoice,
    /// Every problem, by file and line.
    pub diagnostics: Vec<Diagnostic>,
}

/// Loads a bot folder. `env` gives the value of an environment variable, if it is set.
#[cfg(feature = "yaml")]
#[must_use]
pub fn load(files: &Files, env: &dyn Fn(&str) -> Option<String>, options: &Options<'_>) -> Loaded {
    let mut report = Report::default();
    let trees = folder::trees(files, &mut report);
    let digest = bundle::digest(&trees);
    load::load(trees, digest, &environment(env, options), options, report)
}

/// Loads a bundle. Its folder's name is its own, whatever the options say; its diagnostics name files and no lines.
#[must_use]
pub fn load_bundle(bundle: Bundle, env: &dyn Fn(&str) -> Option<String>, options: &Options<'_>) -> Loaded {
    let (name, digest) = (bundle.name().to_owned(), bundle.digest().clone());
    let options = &Options { folder: &name, ..*options };
    let parts = Parts::of_bundle(bundle);
    let mut report = Report::default();
    let trees = parts.trees(&mut report);
    load::load(trees, digest, &environment(env, options), options, report)
}

fn environment<'e>(env: &'e dyn Fn(&str) -> Option<String>, options: &Options<'_>) -> Environment<'e> {
    Environment { lookup: env, may_come_later: options.variables_may_come_later }
}
