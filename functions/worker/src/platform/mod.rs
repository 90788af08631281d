//! The ports of the platform: its clock, its fetch, its randomness, its cryptography, its console, and messages that come and go.

mod chance;
mod clock;
mod http;
mod log;
mod messages;
mod signatures;
mod spawn;

use tracing::level_filters::LevelFilter;
use worker::Env;

use crate::settings::setting;

pub(crate) use chance::{PlatformChance, random_name};
pub(crate) use clock::{ObjectClock, PlatformClock};
pub(crate) use http::PlatformHttp;
pub(crate) use messages::{Answer, Content, ask_object, give, take};
pub(crate) use signatures::PlatformSignatures;
pub(crate) use spawn::PlatformSpawn;

/// Gets logging ready, once for each isolate.
pub(crate) fn begin(env: &Env) {
    let level = setting(env, "COTA_LOG_LEVEL").and_then(|level| level.parse().ok());
    log::begin(level.unwrap_or(LevelFilter::INFO));
}
