//! What a deployment decides: variables and secrets of wrangler.toml.

use worker::Env;

/// How long a conversation is kept that nobody touches, where nobody says.
const RETENTION_DAYS: u64 = 30;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A variable or a secret, if it is set to something.
pub(crate) fn setting(env: &Env, name: &str) -> Option<String> {
    env.var(name).ok().map(|value| value.to_string()).filter(|value| !value.is_empty())
}

/// How long a conversation is kept that nobody touches: `COTA_RETENTION_DAYS`, 0 for ever.
pub(crate) fn keep_ms(env: &Env) -> Option<u64> {
    let days = setting(env, "COTA_RETENTION_DAYS").and_then(|days| {
        days.parse().inspect_err(|_| tracing::warn!("COTA_RETENTION_DAYS is not a number of days; {RETENTION_DAYS} holds")).ok()
    });
    Some(days.unwrap_or(RETENTION_DAYS)).filter(|days| *days > 0).map(|days| days.saturating_mul(DAY_MS))
}
