//! The bots that the build put in: the folders that `COTA_BOT` named then.

use std::sync::Arc;

use worker::Env;

use cota_config::{Bundle, Loaded, Options, Severity, Target};
use cota_core::ids::BotName;
use cota_publish::Built;

use crate::settings::setting;

/// A JSON array of bundles, written by the build script.
const BUNDLES: &str = include_str!(concat!(env!("OUT_DIR"), "/bundles.json"));

/// Loads each; what is wrong with one is logged.
pub(super) fn load(env: &Env) -> Vec<Built> {
    let bundles: Vec<Bundle> = serde_json::from_str(BUNDLES)
        .inspect_err(|error| tracing::error!(%error, "the bots that were built in cannot be read; build the Worker again"))
        .unwrap_or_default();
    bundles.into_iter().filter_map(|bundle| open(bundle, env)).collect()
}

/// What a bundle is, with the variables of the Worker.
pub(super) fn read(bundle: Bundle, env: &Env) -> Loaded {
    let folder = bundle.name().to_owned();
    let lookup = |name: &str| setting(env, name);
    let environment = lookup("COTA_ENV");
    let options = Options { target: Target::Edge, environment: environment.as_deref(), ..Options::new(&folder) };
    let loaded = cota_config::load_bundle(bundle, &lookup, &options);
    for diagnostic in &loaded.diagnostics {
        match diagnostic.severity {
            Severity::Error => tracing::error!(bot = folder, file = diagnostic.file, "{}", diagnostic.message),
            Severity::Warning | Severity::Notice => tracing::warn!(bot = folder, file = diagnostic.file, "{}", diagnostic.message),
        }
    }
    loaded
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
