//! The bots and tasks that the build put in: the folders that `COTA_BOT` named then.

use std::sync::Arc;

use worker::Env;

use cota_config::{Bundle, Diagnostic, Loaded, LoadedTask, Options, Severity, Target};
use cota_core::bot::Bot;
use cota_core::ids::BotName;
use cota_core::task::Task;
use cota_publish::Built;

use crate::settings::setting;

/// A JSON array of bundles, written by the build script.
const BUNDLES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bundles.json"));

/// What the build put in.
pub(super) struct BuiltIn {
    pub(super) bots: Vec<Built>,
    pub(super) tasks: Vec<(Task, Bot, Vec<Bot>)>,
}

/// Loads each; what is wrong with one is logged.
pub(super) fn load(env: &Env) -> BuiltIn {
    let bundles: Vec<Bundle> = serde_json::from_slice(BUNDLES)
        .inspect_err(|error| tracing::error!(%error, "the bots that were built in cannot be read; build the Worker again"))
        .unwrap_or_default();
    let (tasks, bots): (Vec<Bundle>, Vec<Bundle>) = bundles.into_iter().partition(Bundle::is_task);
    BuiltIn {
        bots: bots.into_iter().filter_map(|bundle| open(bundle, env)).collect(),
        tasks: tasks.into_iter().filter_map(|bundle| read_task(bundle, env).into_staff()).collect(),
    }
}

/// What a bot's bundle is, with the variables of the Worker.
pub(super) fn read(bundle: Bundle, env: &Env) -> Loaded {
    let folder = bundle.name().to_owned();
    let loaded = with_variables(env, |lookup, options| cota_config::load_bundle(bundle, lookup, options));
    tell(&folder, &loaded.diagnostics);
    loaded
}

fn read_task(bundle: Bundle, env: &Env) -> LoadedTask {
    let folder = bundle.name().to_owned();
    let loaded = with_variables(env, |lookup, options| cota_config::load_task_bundle(bundle, lookup, options));
    tell(&folder, &loaded.diagnostics);
    loaded
}

fn with_variables<T>(env: &Env, load: impl FnOnce(&dyn Fn(&str) -> Option<String>, &Options<'_>) -> T) -> T {
    let lookup = |name: &str| setting(env, name);
    let environment = lookup("COTA_ENV");
    load(&lookup, &Options { target: Target::Edge, environment: environment.as_deref(), ..Options::new("") })
}

fn tell(folder: &str, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        match diagnostic.severity {
            Severity::Error => tracing::error!(bot = folder, file = diagnostic.file, "{}", diagnostic.message),
            Severity::Warning | Severity::Notice => tracing::warn!(bot = folder, file = diagnostic.file, "{}", diagnostic.message),
        }
    }
}

fn open(bundle: Bundle, env: &Env) -> Option<Built> {
    let bot = read(bundle, env).bot?;
    match BotName::new(bot.name()) {
        Ok(name) => Some(Built { name, bot: Some(Arc::new(bot)) }),
        Err(error) => {
            tracing::error!(bot = bot.name(), %error, "a bot cannot be addressed");
            None
        }
    }
}
